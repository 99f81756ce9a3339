"""weft sub --proto and weft pub --proto against a live router, compared with what protoc and Python's protobuf make of
the same messages (kinds.proto has every kind of field)."""

import base64
import json
import math
import os
import random
import struct
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, text_format

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import harness  # noqa: E402  (found by the line above)

KINDS = os.path.join(HERE, "kinds.proto")
NOWHERE = "tcp://127.0.0.1:1/nowhere"
ROUTE = "kinds.All@k.x"

# Arguments, and what must be said about them.
MISUSES = [
    (["sub", "kinds.All@k", "-P", NOWHERE, "--proto", KINDS, "--format", "hex"], 2, "--format text or json"),
    (["sub", "kinds.All@k", "-P", NOWHERE, "-I", HERE], 2, "-I is for --proto"),
    (["pub", "kinds.All@k", "-P", NOWHERE, "--size", "3", "--proto", KINDS], 2, "leave --proto out"),
    (["pub", "kinds.All@k", "x", "-P", NOWHERE, "-I", HERE], 2, "-I is for --proto"),
    (["sub", "kinds.Al@k", "-P", NOWHERE, "--proto", KINDS], 1, "did you mean kinds.All?"),
    (["pub", "All@k", "", "-P", NOWHERE, "--proto", KINDS], 1, "did you mean kinds.All?"),
    (["pub", "kinds.All@k", "", "-P", NOWHERE, "--proto", "gone.proto"], 1, "protoc does not take gone.proto"),
]

# Text or JSON, and what must be said about it.
MISTAKES = [
    ("f_int32: x", "line 1, column 10: f_int32: 'x' is not a whole number from -2147483648 to 2147483647"),
    ("f_int32: 2147483648", "is not a whole number"),
    ("f_uint32: -1", "is not a whole number from 0"),
    ("f_in32: 1", "column 1: kinds.All has no field 'f_in32'; did you mean f_int32?"),
    ("f_color: REDD", "did you mean RED?"),
    ("f_int32: 1 f_int32: 2", "f_int32 is given twice"),
    ('c_string: "a" c_int32: 1', "c_int32 is given along with c_string"),
    ("f_point { x: 1", "expected }"),
    ("f_point: 3", "expected a message in braces"),
    ("f_string: 'a", "the string has no end"),
    ("f_string: '\\q'", "an escape that is none"),
    ("f_string: '\\xff'", "not UTF-8"),
    ("f_string 'a'", "expected :"),
    ("\n\nf_bool: 2", "line 3, column 9"),
    ("r_int32: [1 2]", "expected , or ]"),
    ("{", "line 1, column 1"),
    ('{"fInt32": "x"}', "fInt32: expected a whole number"),
    ('{"fInt23": 1}', "has no field 'fInt23'; did you mean fInt32?"),
    ('{"rPoint": [{"x": 1}, {"x": "a"}]}', "rPoint[1].x: expected a number"),
    ('{"mInt64": {"a": {}}}', 'mInt64["a"]: expected a whole number'),
    ('{"fColor": "REDD"}', "did you mean RED?"),
    ('{"fBytes": "?"}', "base64"),
    ('{"fUint64": 18446744073709551615}', "write it in quotes"),
    ('{"fInt32": 1.5}', "expected a whole number"),
    ('{"fInt32": 1, "f_int32": 2}', "given twice"),
    ('{"cString": "a", "cInt32": 1}', "exclude one another"),
    ('{"fString": 1}', "expected a string"),
    ('{"fPoint": []}', "expected an object"),
]


def protoc(*args, data=b""):
    return subprocess.run(["protoc", *args, "-I", HERE, KINDS], input=data, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def load_types():
    files = descriptor_pb2.FileDescriptorSet.FromString(
        protoc("--include_imports", "--descriptor_set_out=/dev/stdout"))
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool, message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("kinds.All"))


POOL, All = load_types()


def random_value(rng, field, depth):
    limits = {1: None, 2: None, 3: (-2**63, 2**63 - 1), 4: (0, 2**64 - 1), 5: (-2**31, 2**31 - 1), 6: (0, 2**64 - 1),
              7: (0, 2**32 - 1), 13: (0, 2**32 - 1), 15: (-2**31, 2**31 - 1), 16: (-2**63, 2**63 - 1),
              17: (-2**31, 2**31 - 1), 18: (-2**63, 2**63 - 1)}
    if field.type in (1, 2):
        value = rng.choice([0.1, -2.5, 1e10, 1e-7, 123456.789, 1 / 3, -0.0, math.inf, -math.inf, 5e20, rng.random()])
        return struct.unpack("f", struct.pack("f", value))[0] if field.type == 2 else value
    if field.type in limits:
        low, high = limits[field.type]
        return rng.choice([low, high, 0, 1, max(low, -1), rng.randint(low, high), rng.randint(0, 200)])
    if field.type == 8:
        return rng.random() < 0.5
    if field.type == 9:
        return rng.choice(["", "plain", "a\"b'c\\d", "tab\tline\nend\r", "äß€😀", "\x00\x01\x1f\x7f", "\u2028</x>"])
    if field.type == 12:
        return rng.choice([b"", b"abc", bytes(range(256)), b"\xff\x00", rng.randbytes(7)])
    return rng.choice(field.enum_type.values).number


def fill(rng, message, depth=0):
    """Any of the fields with any values."""
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.5:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            for _ in range(rng.randint(0, 3)):
                where, at = getattr(message, field.name), random_value(rng, key, depth)
                if at == "\x00\x01\x1f\x7f":
                    at = "no NUL"  # a key of JSON cannot have one
                if value.message_type:
                    fill(rng, where[at], depth + 1)
                else:
                    where[at] = random_value(rng, value, depth)
        elif field.message_type and depth < 3:
            inner = getattr(message, field.name)
            if field.label == field.LABEL_REPEATED:
                for _ in range(rng.randint(0, 3)):
                    fill(rng, inner.add(), depth + 1)
            else:
                inner.SetInParent()
                fill(rng, inner, depth + 1)
        elif not field.message_type and field.label == field.LABEL_REPEATED:
            getattr(message, field.name).extend(random_value(rng, field, depth) for _ in range(rng.randint(0, 4)))
        elif not field.message_type:
            setattr(message, field.name, random_value(rng, field, depth))
    return message


def messages():
    """Random ones and one with everything at once."""
    made = [fill(random.Random(seed), All()) for seed in range(60)] + [All()]
    old = POOL.FindExtensionByName("kinds2.more")
    made[0].old.Extensions[old] = "an extension"
    return made


def one_line(text):
    """What protoc prints, on one line."""
    return " ".join(line.strip() for line in text.splitlines())


def same_text(ours, theirs):
    """Word by word; protoc prints a float with more digits than it takes."""
    a, b = ours.split(" "), theirs.split(" ")
    return len(a) == len(b) and all(x == y or same_number(x, y) for x, y in zip(a, b))


def same_number(x, y):
    try:
        return float(x) == float(y) or struct.pack("f", float(x)) == struct.pack("f", float(y))
    except (ValueError, OverflowError):
        return False


class Typed(harness.Case):
    def subscriber(self, router, *args, route=ROUTE):
        mark = router.proc.mark()
        sub = self.weft("sub", route, "-P", router.sock, *args, split=True)
        router.proc.wait_line("peer up", since=mark)
        return sub

    def publish(self, router, lines):
        pub = self.weft("pub", ROUTE, "-", "-P", router.sock, "--proto", KINDS, stdin=subprocess.PIPE)
        pub.process.stdin.write("".join(line + "\n" for line in lines))
        pub.process.stdin.close()
        pub.expect_exit(0)

    def publish_bytes(self, router, data, number):
        file = os.path.join(self.folder, f"message-{number}")
        with open(file, "wb") as out:
            out.write(data)
        self.weft("pub", ROUTE, "--file", file, "-P", router.sock).expect_exit(0)

    def test_text_to_wire_as_protobuf_makes_it(self):
        a = self.router("k")
        made = messages()
        sub = self.subscriber(a, "--format", "hex", "--count", str(len(made)))
        self.publish(a, [text_format.MessageToString(m, as_one_line=True, as_utf8=i % 2 == 0)
                         for i, m in enumerate(made)])
        for m, line in zip(made, sub.expect_exit(0)):
            self.assertEqual(line, m.SerializeToString(deterministic=True).hex(), m)

    def test_json_to_wire_as_protobuf_makes_it(self):
        a = self.router("k")
        made = messages()
        sub = self.subscriber(a, "--format", "hex", "--count", str(len(made)))
        self.publish(a, [json_format.MessageToJson(m, indent=None, preserving_proto_field_name=i % 2 == 0,
                                                   descriptor_pool=POOL) for i, m in enumerate(made)])
        for m, line in zip(made, sub.expect_exit(0)):
            self.assertEqual(line, m.SerializeToString(deterministic=True).hex(), m)

    def test_wire_to_text_and_json(self):
        a = self.router("k")
        made = messages()
        lines = [text_format.MessageToString(m, as_one_line=True) for m in made]
        text = self.subscriber(a, "--proto", KINDS, "--count", str(len(made)))
        self.publish(a, lines)
        for m, line in zip(made, text.expect_exit(0)):
            theirs = one_line(protoc("--decode=kinds.All", data=m.SerializeToString()).decode())
            self.assertTrue(same_text(line, theirs), f"{line}\n{theirs}")
        objects = self.subscriber(a, "--proto", KINDS, "--count", str(len(made)), "--format", "json", route="*@k.**")
        self.publish(a, lines)
        for m, line in zip(made, objects.expect_exit(0)):
            message = json.loads(line)["message"]
            theirs = json_format.MessageToDict(m, descriptor_pool=POOL)
            back = json_format.ParseDict(message, All(), descriptor_pool=POOL)
            self.assertEqual(back.SerializeToString(deterministic=True), m.SerializeToString(deterministic=True))
            self.assertEqual(set(message), set(theirs))

    def test_what_is_on_the_wire_but_not_in_the_type(self):
        a = self.router("k")
        cases = [
            b"\xd0\x3e\x05",  # field 1002, a number
            b"\xd5\x3e\x01\x02\x03\x04" + b"\xd1\x3e\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\xd2\x3e\x03abc", b"\xd2\x3e\x02\x08\x01",  # bytes, and bytes that look like a message
            b"\xd3\x3e\x08\x01\x10\x02\xd4\x3e",  # a group
            b"\x18\x01\x18\x02",  # the last one counts
            b"\x8a\x01\x09\x09" + struct.pack("<d", 1) + b"\x8a\x01\x09\x11" + struct.pack("<d", 2),  # merged
            b"\x90\x01\x05\x92\x01\x02\x06\x07",  # packed and not
            b"\x9a\x01\x02\x01\x02",  # packed, though declared otherwise
            b"\x1d\x01\x02\x03\x04",  # another wire format than the field's
            b"\xf2\x01\x01a\xf8\x01\x05",  # two of a oneof
            b"\x80\x01\x63",  # an enum's number without a name
            b"\xaa\x02\x04\x28\x09\x30\x01",  # the same of a closed one
            b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x18\xff\xff\xff\xff\x7f",  # -1, and too long
        ]
        sub = self.subscriber(a, "--proto", KINDS, "--count", str(len(cases)))
        for i, data in enumerate(cases):
            self.publish_bytes(a, data, i)
        for data, line in zip(cases, sub.expect_exit(0)):
            self.assertTrue(same_text(line, one_line(protoc("--decode=kinds.All", data=data).decode())), (data, line))

    def test_what_is_not_of_its_type_is_shown_in_hex(self):
        a = self.router("k")
        cases = [(b"\x0a", "byte 0: kinds.All: no field begins here"), (b"\x18", "cut short"),
                 (b"\x72\x02\xff\xfe", "kinds.All.f_string: the string is not UTF-8"),
                 (b"\x92\x01\x01\x80", "kinds.All.r_int32: its packed numbers are cut short"),
                 (b"\xd3\x3e\x08", "no field begins here"), (b"\x07\x00", "no field begins here")]
        text = self.subscriber(a, "--proto", KINDS, "--count", str(len(cases)))
        for i, (data, _) in enumerate(cases):
            self.publish_bytes(a, data, i)
        for (data, why), line in zip(cases, text.expect_exit(1)):
            self.assertRegex(line, f"^# {ROUTE}: .*{why}.*: {data.hex()}$")
        self.assertIn(f"{len(cases)} of {len(cases)} messages were not of their type", "\n".join(text.errors))
        objects = self.subscriber(a, "--proto", KINDS, "--count", str(len(cases)), "--format", "json")
        for i, (data, _) in enumerate(cases):
            self.publish_bytes(a, data, i)
        for (data, why), line in zip(cases, objects.expect_exit(1)):
            self.assertIn(why, json.loads(line)["error"])
            self.assertEqual(base64.b64decode(json.loads(line)["base64"]), data)

    def test_each_message_of_a_pattern_has_its_own_type(self):
        a = self.router("k")
        sub = self.subscriber(a, "--proto", KINDS, "--count", "3", "-v", route="*@k.**")
        self.weft("pub", "kinds.Point@k.p", "x: 1", "-P", a.sock, "--proto", KINDS).expect_exit(0)
        self.weft("pub", "kinds2.Strict@k.s", '{"must": 2}', "-P", a.sock, "--proto", KINDS).expect_exit(0)
        self.weft("pub", "T@k.t", "x", "-P", a.sock).expect_exit(0)
        self.assertEqual(sub.expect_exit(1), ["kinds.Point@k.p x: 1", "kinds2.Strict@k.s must: 2",
                                              "# T@k.t: the type of its route is not in the files: 78"])

    def test_a_bad_line_stops_before_it(self):
        a = self.router("k")
        sub = self.subscriber(a, "--proto", KINDS, "--count", "1")
        pub = self.weft("pub", ROUTE, "-", "-P", a.sock, "--proto", KINDS, stdin=subprocess.PIPE)
        pub.process.stdin.write("# a comment\nf_int32: 1\nf_int32: oops\nf_int32: 3\n")
        pub.process.stdin.close()
        pub.expect_exit(1)
        self.assertIn("standard input, line 3: line 1, column 10: f_int32: 'oops'", "\n".join(pub.lines))
        self.assertEqual(sub.expect_exit(0), ["f_int32: 1"])


class Misuse(harness.Case):
    def test_misuse_is_told(self):
        for args, code, expected in MISUSES:
            with self.subTest(args=args):
                proc = self.weft(*args)
                proc.expect_exit(code)
                self.assertIn(expected, "\n".join(proc.lines))

    def test_mistakes_are_told_with_their_place(self):
        for text, expected in MISTAKES:
            with self.subTest(text=text):
                proc = self.weft("pub", ROUTE, "--proto", KINDS, "-P", NOWHERE, "--", text)
                proc.expect_exit(1)
                self.assertIn(expected, "\n".join(proc.lines))

    def test_a_required_field(self):
        proc = self.weft("pub", "kinds2.Strict@k", "may: 1", "--proto", KINDS, "-P", NOWHERE)
        proc.expect_exit(1)
        self.assertIn("kinds2.Strict.must is required", proc.lines[0])

    def test_without_protoc_its_package_is_named(self):
        proc = self.spawn("weft", ["/usr/bin/env", "PATH=/nonexistent", harness.program("weft"), "sub", ROUTE, "--proto",
                                   KINDS, "-P", NOWHERE])
        proc.expect_exit(1)
        self.assertIn("apt install protobuf-compiler", proc.lines[0])

    def test_more_descriptors_than_are_taken(self):
        """Said so, not that protoc failed, which it does where nobody reads on."""
        with open(os.path.join(self.folder, "protoc"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexec head -c 67200000 /dev/zero\n")
        os.chmod(file.name, 0o755)
        proc = self.spawn("weft", ["/usr/bin/env", f"PATH={self.folder}:{os.environ['PATH']}", harness.program("weft"),
                                   "sub", ROUTE, "--proto", KINDS, "-P", NOWHERE])
        proc.expect_exit(1)
        self.assertIn("make more than 64 MiB of descriptors", "\n".join(proc.lines))

    def test_a_file_that_does_not_compile_is_told_by_protoc(self):
        file = os.path.join(self.folder, "bad.proto")
        with open(file, "w", encoding="utf-8") as out:
            out.write('syntax = "proto3";\nmessage A { int32 x = ; }\n')
        proc = self.weft("sub", "A@k", "--proto", file, "-P", NOWHERE)
        proc.expect_exit(1)
        self.assertRegex("\n".join(proc.lines), r"bad\.proto:2:23: .*\n.*protoc does not take")


if __name__ == "__main__":
    harness.main()
