/* Two nodes and the links between them, for spin: what handshake/ and mesh/ do from the first dial
 * to the one link that stays, under loss, restart and silence at any step.
 *
 * The happy path: a node that has no link dials, the connection comes up, INITIAL, FINAL and PEERS
 * make it UP on both sides. Where both dial, or one dials twice, the second link is arbitrated when
 * it is identified, and the loser is handed over. What must hold in the end, whatever came between:
 * one link, UP on both sides, and nothing else (ltl one_link). What must hold all the way is in the
 * assertions.
 *
 * One process does one step of one node at a time, as each node has one loop. Time is a tick of
 * 2.5 s; a clock stops counting at the largest bound that anybody compares it with, and a tick that
 * would change nothing is none, so that no run can put off what is due by letting time pass. Stamps
 * are ranks among the connections that exist. docs/internals/handshake.md says what is left out and
 * why that is sound; run.py has the configurations. */

#ifndef NC
#define NC 3 /* connections at a time */
#endif
#define E (2 * NC) /* their ends: connection c has 2 * c at node 0 and 2 * c + 1 at node 1 */
#ifndef DIALERS
#define DIALERS 3 /* bit n: node n dials while it has no link */
#endif
#ifndef NAMES0
#define NAMES0 0 /* how often node 0 dials by a second name, linked or not */
#endif
#ifndef NAMES1
#define NAMES1 0
#endif
#ifndef FAULTS
#define FAULTS 0 /* losses: of both ends, of one end, or of one direction */
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef BASEDIALS
#define BASEDIALS 0 /* node 1 speaks the base protocol, and dials so often */
#endif
#ifndef LATENCY
#define LATENCY 1 /* ticks a message may wait */
#endif
#ifndef SLOW
#define SLOW 0 /* ticks that find a message on its way */
#endif
#ifndef HASTE
#define HASTE 0 /* dials within one tick of the last that failed */
#endif
#ifndef DISAGREE
#define DISAGREE 0 /* so many DIGESTs do not agree */
#endif
#ifndef MESSAGES
#define MESSAGES 0 /* that each node publishes */
#endif
#ifndef LARGER
#define LARGER 1 /* whose node id is the larger */
#endif
#ifdef BASE
#define is_base(n) ((n) == 1)
#else
#define is_base(n) false
#endif

/* Ticks of 2.5 s: what the code says in nanoseconds. */
#define CONNECT 1      /* DIAL_TIMEOUT_NS, rounded down to whole ticks */
#define TIMEOUT 2      /* HANDSHAKE_TIMEOUT_NS */
#define SETTLED 4      /* HANDSHAKE_SETTLED_NS */
#define SETTLED_DIAL 2 /* HANDSHAKE_SETTLED_DIALER_NS */
#define DEAD 4         /* DEAD_NS */
#define HANDOVER 2     /* HANDOVER_NS */

/* States of an end. */
#define CLOSED 0
#define DIALING 1
#define WAIT 2
#define PEERS 3 /* identified */
#define UP 4
#define RETIRING 5

/* Messages. RESULT is told by CLOSE, which follows it. */
#define M_INITIAL 1
#define M_FINAL 2
#define M_PEERS 3
#define M_DIGEST 4
#define M_RESYNC 5
#define M_GOODBYE 6
#define M_CLOSE 7
#define M_INTEREST 8
#define M_DATA 9 /* M_DATA + number */
#define M_DATA_1 10
#define M_DATA_2 11

#define GONE 15 /* displaced by a link that is gone */

#define node(e) ((e) % 2)
#define conn(e) ((e) / 2)
#define peer(e) ((e) ^ 1)
#define mine(c, n) (2 * (c) + (n))
#define outbound(e) (ini[conn(e)] == node(e))
#define winner(e) (disp[e] != 0 && disp[e] != GONE)
#define winner_end(e) mine(disp[e] - 1, node(e))

/* Ends. */
byte st[E];
byte age[E];    /* since the dial, the connection, or since UP */
byte quiet[E];  /* since something was received */
byte aside[E];   /* since it stepped back */
byte late[E];   /* ticks that the first message to it waits */
bool mute[E];   /* nothing reaches it any more */
bool fin[E];    /* FINAL has come */
byte disp[E];   /* displaced by connection disp - 1 */
bool said[E], heard[E], agreed[E];
bool digest[E]; /* one is to be sent */
bool wanted[E]; /* the other side's interest is known here */
byte inc[E];    /* of its process */
chan q[E] = [8] of { byte };

/* Connections. */
bool ini[NC];   /* who dialled */
byte rank[NC];  /* of its stamp, among those of one initiator; 0: not connected */
bool named[NC]; /* dialled by a second name: not the book's one reservation */

/* Nodes. */
byte life[2];
bool set_back[2]; /* the clock, over the last restart */
bool linked[2], dialing[2]; /* the address book's entry */
bool backoff[2];            /* its last dial failed, or its link was lost, in this tick */
byte names[2], faults, restarts, base_dials, disagree, slow, haste;
byte sent[2], got[2]; /* messages: the last published, the last delivered */

/* Of one step. */
hidden byte e, x, i, o, w, m, n, round;
hidden byte yes, over[E];

/* Some end for which `what` holds, into e. */
#if NC == 2
#define any(what) (what(0) || what(1) || what(2) || what(3))
#define more(what)
#elif NC == 3
#define any(what) (what(0) || what(1) || what(2) || what(3) || what(4) || what(5))
#define more(what) :: what(4) -> e = 4 :: what(5) -> e = 5
#else
#define any(what) \
    (what(0) || what(1) || what(2) || what(3) || what(4) || what(5) || what(6) || what(7))
#define more(what) :: what(4) -> e = 4 :: what(5) -> e = 5 :: what(6) -> e = 6 :: what(7) -> e = 7
#endif
#define choose(what) \
    if :: what(0) -> e = 0 :: what(1) -> e = 1 :: what(2) -> e = 2 :: what(3) -> e = 3 more(what) fi

/* ---- The queues ---- */

inline push(to, what)
{
    if
    :: st[to] != CLOSED && !mute[to] -> q[to]!what
    :: else
    fi
}

inline empty_queue(at)
{
    do
    :: len(q[at]) > 0 -> q[at]?m
    :: else -> break
    od;
    late[at] = 0
}

/* Messages of a link wait while an older one may still bring some. */
/* mirrors update_hold, mesh/handover.c */
#define held_by(k, c) (disp[k] == (c) + 1 && !heard[k])
#if NC == 2
#define held(k) (held_by(mine(0, node(k)), conn(k)) || held_by(mine(1, node(k)), conn(k)))
#elif NC == 3
#define held(k) (held_by(mine(0, node(k)), conn(k)) || held_by(mine(1, node(k)), conn(k)) || \
                 held_by(mine(2, node(k)), conn(k)))
#else
#define held(k) (held_by(mine(0, node(k)), conn(k)) || held_by(mine(1, node(k)), conn(k)) || \
                 held_by(mine(2, node(k)), conn(k)) || held_by(mine(3, node(k)), conn(k)))
#endif
#if MESSAGES
#define stuck(k) (held(k) && (q[k]?[M_DATA_1] || q[k]?[M_DATA_2]))
#else
#define stuck(k) false
#endif

/* ---- Handing over ---- */

/* mirrors link_is_up_there, mesh/link.c */
#define is_up_there(k) \
    (st[k] >= UP || (outbound(k) && !is_base(node(peer(k))) && st[k] == PEERS))

/* mirrors say_goodbye, mesh/handover.c */
inline say_goodbye(k)
{
    push(peer(k), M_GOODBYE);
    said[k] = true;
    if
    :: heard[k] -> over[k] = true
    :: else
    fi
}

/* mirrors step_back, mesh/handover.c */
inline step_back(k, by)
{
    st[k] = RETIRING;
    aside[k] = 0;
    if
    :: agreed[by] -> say_goodbye(k)
    :: else
    fi
}

/* mirrors handover_up, mesh/handover.c */
inline handover_up(k)
{
    if
    :: winner(k) && st[winner_end(k)] >= UP -> step_back(k, winner_end(k))
    :: else ->
        o = node(k);
        do
        :: o < E ->
            if
            :: st[o] == UP && disp[o] == conn(k) + 1 -> step_back(o, k)
            :: else
            fi;
            o = o + 2
        :: else -> break
        od
    fi
}

/* mirrors handover_agreed, mesh/handover.c */
inline handover_agreed(k)
{
    if
    :: !agreed[k] ->
        agreed[k] = true;
        o = node(k);
        do
        :: o < E ->
            if
            :: st[o] == RETIRING && disp[o] == conn(k) + 1 && !said[o] -> say_goodbye(o)
            :: else
            fi;
            o = o + 2
        :: else -> break
        od
    :: else
    fi
}

/* mirrors stand_again, mesh/handover.c */
inline stand_again(k)
{
    if
    :: heard[k] || said[k] -> disp[k] = GONE
    :: else ->
        disp[k] = 0;
        if
        :: st[k] == RETIRING ->
            st[k] = UP;
            aside[k] = 0
        :: else
        fi
    fi
}

/* mirrors follow, mesh/handover.c */
inline follow(k, by)
{
    disp[k] = conn(by) + 1;
    if
#ifndef BREAK_FOLLOW
    :: st[k] == UP && st[by] >= UP -> step_back(k, by)
#endif
    :: st[k] == RETIRING && st[by] >= UP && agreed[by] && !said[k] -> say_goodbye(k)
    :: else
    fi
}

/* mirrors handover_ended, mesh/handover.c */
inline handover_ended(k)
{
    i = node(k);
    do
    :: i < E ->
        if
        :: i != k && disp[i] == conn(k) + 1 ->
            if
            :: winner(k) -> follow(i, winner_end(k))
            :: else -> stand_again(i)
            fi
        :: else
        fi;
        i = i + 2
    :: else -> break
    od;
    disp[k] = 0
}

/* ---- The end of a link ---- */

inline look_for_up(at)
{
    yes = false;
    i = at;
    do
    :: i < E ->
        yes = yes || st[i] == UP;
        i = i + 2
    :: else -> break
    od
}

/* The state of the end is gone; its connection is told of by who calls this. */
inline forget(k)
{
    empty_queue(k);
    st[k] = CLOSED; age[k] = 0; quiet[k] = 0; mute[k] = false; fin[k] = false; aside[k] = 0;
    said[k] = false; heard[k] = false; agreed[k] = false; digest[k] = false; wanted[k] = false; over[k] = false
}

/* mirrors report_to_book, mesh/link.c */
inline report_to_book(k, was)
{
    if
    :: was == UP ->
        look_for_up(node(k));
        linked[node(k)] = yes;
        backoff[node(k)] = !yes
    :: was < UP && outbound(k) && !named[conn(k)] && dialing[node(k)] ->
        dialing[node(k)] = false;
        backoff[node(k)] = true
    :: else
    fi
}

/* mirrors link_end, mesh/link.c */
inline link_end(k, goodbye)
{
    if
    :: goodbye && is_up_there(k) && !said[k] && !is_base(node(peer(k))) -> push(peer(k), M_GOODBYE)
    :: else
    fi;
    push(peer(k), M_CLOSE);
    printf("  node %d ends link %d, %d\n", node(k), conn(k), st[k]);
    w = st[k];
    st[k] = CLOSED;
    handover_ended(k);
    report_to_book(k, w);
    forget(k);
#ifdef NEVER_DOWN
    /* A link that was UP goes only when another one is. */
    assert(w != UP || linked[node(k)])
#endif
}

/* ---- The way UP ---- */

/* mirrors link_up, mesh/greet.c */
inline link_up(k)
{
    printf("  node %d: link %d is UP\n", node(k), conn(k));
    st[k] = UP;
    age[k] = 0;
    quiet[k] = 0;
    if /* mirrors enter_book, mesh/greet.c */
    :: outbound(k) && !named[conn(k)] -> dialing[node(k)] = false
    :: else
    fi;
    linked[node(k)] = true;
    digest[k] = !is_base(node(peer(k)));
#if MESSAGES
#ifdef LISTS
    wanted[k] = true; /* INITIAL carried it: mirrors register_initial, mesh/greet.c */
#else
    push(peer(k), M_INTEREST);
#endif
#endif
    handover_up(k)
}

/* Was the stamp of connection a given before that of b, both of one initiator? */
#define earlier(a, b) \
    (inc[mine(a, ini[a])] == inc[mine(b, ini[b])] -> rank[a] < rank[b] : \
     ((inc[mine(a, ini[a])] < inc[mine(b, ini[b])]) != set_back[ini[a]]))
/* mirrors done_for, handshake/arbitrate.c */
#define done_for(k, time) (st[k] == UP && age[k] >= (time))
/* mirrors by_incarnation, handshake/arbitrate.c */
#define by_incarnation(old, new) \
    (!(outbound(old) == outbound(new) && earlier(conn(new), conn(old)) && !done_for(old, TIMEOUT)))
#define settled(old, new) done_for(old, (outbound(new) -> SETTLED_DIAL : SETTLED))
/* Does what this node dialled win a race? */
#ifdef BREAK_IDS
#define ours_wins(k) true
#else
#define ours_wins(k) (is_base(node(peer(k))) || node(k) == LARGER)
#endif
/* mirrors by_initiator, handshake/arbitrate.c */
#define by_initiator(old, new) (settled(old, new) || (outbound(new) == ours_wins(new)))
/* mirrors handshake_arbitrate, handshake/arbitrate.c */
#define keep_new(old, new) \
    (inc[peer(old)] != inc[peer(new)] -> by_incarnation(old, new) : \
     (outbound(old) != outbound(new) -> by_initiator(old, new) : \
      (is_base(node(peer(new))) || !earlier(conn(new), conn(old)))))

/* mirrors handover_begin, mesh/handover.c */
#ifdef LEAVES /* node 0 has leaves: it ends the loser at once */
#define can_hand_over(k) (node(k) != 0)
#else
#define can_hand_over(k) true
#endif
#define hands_over(old, new) \
    (inc[peer(old)] == inc[peer(new)] && !is_base(node(peer(old))) && can_hand_over(old) && \
     is_up_there(old))

/* The end k has just been identified: PEERS. `yes`: it stays. After the end of another one all are
 * looked at again. */
/* mirrors settle_duplicates, mesh/greet.c */
/* mirrors settle_next, mesh/greet.c */
inline settle_duplicates(k)
{
    x = node(k);
    round = 1;
    do
    :: x < E && round ->
        if
        :: x == k || st[x] < PEERS -> x = x + 2
        /* mirrors handover_under_way, mesh/handover.c */
        :: x != k && st[x] >= PEERS && disp[x] != 0 && inc[peer(x)] == inc[peer(k)] ->
            if
            :: !winner(x) -> disp[x] = conn(k) + 1
            :: else
            fi;
            x = x + 2
        :: else ->
            if
            :: !keep_new(x, k) ->
                round = 0;
                if /* mirrors yield_to, mesh/greet.c */
                :: st[x] == UP && outbound(k) && !named[conn(k)] -> dialing[node(k)] = false
                :: else
                fi
            :: keep_new(x, k) && hands_over(x, k) ->
                disp[x] = conn(k) + 1;
                x = x + 2
            :: else ->
                link_end(x, true);
#ifdef BREAK_ORPHANS
                x = x + 2
#else
                x = node(k)
#endif
            fi
        fi
    :: else -> break
    od;
    x = 0;
    yes = round
}

/* ---- What comes ---- */

/* mirrors on_first, handshake/handshake.c */
inline on_first(k)
{
    if
    :: m == M_INITIAL || (m == M_FINAL && outbound(k) && is_base(node(peer(k)))) ->
        st[k] = PEERS;
        fin[k] = m == M_FINAL;
        n = m;
        settle_duplicates(k);
        if
        :: !yes -> link_end(k, false)
        :: yes && outbound(k) && n == M_INITIAL -> push(peer(k), M_FINAL)
        :: yes && !outbound(k) && !is_base(node(peer(k))) -> push(peer(k), M_INITIAL)
        :: yes && !outbound(k) && is_base(node(peer(k))) ->
            push(peer(k), M_FINAL);
            push(peer(k), M_PEERS)
        :: else
        fi
    :: else -> assert(false) /* out of turn */
    fi
}

/* mirrors on_final, handshake/handshake.c */
/* mirrors handshake_on_peers, handshake/handshake.c */
inline on_next(k)
{
    if
    :: m == M_FINAL && !fin[k] ->
        fin[k] = true;
        if
        :: !outbound(k) && !is_base(node(peer(k))) ->
            push(peer(k), M_FINAL);
            push(peer(k), M_PEERS);
            link_up(k)
        :: !outbound(k) && is_base(node(peer(k))) -> link_up(k)
        :: else
        fi
    :: m == M_PEERS && outbound(k) && fin[k] ->
        push(peer(k), M_PEERS);
        link_up(k)
    :: else -> assert(false) /* out of turn, or only for a link that is UP */
    fi
}

/* mirrors handover_goodbye, mesh/handover.c */
/* mirrors receive_goodbye, mesh/link.c */
inline on_goodbye(k)
{
    if
    :: st[k] == RETIRING ->
        heard[k] = true;
        if
        :: said[k] || !winner(k) -> link_end(k, true)
        :: else
        fi
    :: else -> link_end(k, false)
    fi
}

/* The messages of one node come in order, each once. Without a fault none is missing. */
inline on_data(k)
{
    n = node(peer(k));
    assert(m - M_DATA > got[n]);
#if FAULTS == 0
    assert(m - M_DATA == got[n] + 1);
#endif
    got[n] = m - M_DATA
}

/* mirrors frame_when_up, mesh/link.c */
inline when_up(k, agrees)
{
    if
    :: m == M_PEERS
    /* mirrors digest_receive, mesh/routes.c */
    :: m == M_DIGEST && agrees -> handover_agreed(k)
    :: m == M_DIGEST && !agrees ->
        disagree--;
        push(peer(k), M_RESYNC)
    :: m == M_RESYNC -> push(peer(k), M_DIGEST)
    :: m == M_GOODBYE -> on_goodbye(k)
    :: m > M_DATA -> on_data(k)
    :: m == M_INTEREST -> wanted[k] = true
    :: else -> assert(false)
    fi
}

/* dndm, as docs/protocol.md section 8 has it. */
inline base_peer(k)
{
    if
    :: m == M_INITIAL && st[k] == WAIT && !outbound(k) ->
        st[k] = UP;
        push(peer(k), M_FINAL);
        push(peer(k), M_PEERS)
    :: m == M_FINAL && st[k] == WAIT && outbound(k) ->
        st[k] = UP;
        push(peer(k), M_FINAL)
    :: m == M_PEERS && st[k] == UP
    :: else -> assert(false) /* it would close, or crash */
    fi
}

/* mirrors mesh_frame, mesh/link.c */
inline deliver(k, agrees)
{
    q[k]?m;
    printf("node %d reads message %d of link %d\n", node(k), m, conn(k));
    late[k] = 0;
    quiet[k] = 0;
    if
    :: m == M_CLOSE && is_base(node(k)) -> forget(k)
    :: m == M_CLOSE && !is_base(node(k)) -> link_end(k, false) /* mirrors mesh_ended, mesh/link.c */
    :: m != M_CLOSE && is_base(node(k)) -> base_peer(k)
    :: m != M_CLOSE && !is_base(node(k)) && st[k] == WAIT -> on_first(k)
    :: m != M_CLOSE && !is_base(node(k)) && st[k] == PEERS -> on_next(k)
    :: else -> when_up(k, agrees)
    fi
}

/* ---- Dialling ---- */

#define free(c) (st[2 * (c)] == CLOSED && st[2 * (c) + 1] == CLOSED)
#if NC == 2
#define any_free (free(0) || free(1))
#elif NC == 3
#define any_free (free(0) || free(1) || free(2))
#else
#define any_free (free(0) || free(1) || free(2) || free(3))
#endif

/* mirrors dial, mesh/book.c */
inline dial(at, by_name)
{
    i = 0;
    do
    :: !free(i) -> i++
    :: else -> break
    od;
    printf("node %d dials link %d\n", at, i);
    if
    :: !by_name && backoff[at] -> haste--; backoff[at] = false
    :: else
    fi;
    ini[i] = at;
    named[i] = by_name;
    st[mine(i, at)] = DIALING;
    inc[mine(i, at)] = life[at];
    if
    :: !by_name -> dialing[at] = true
    :: else
    fi
}

/* The connection stands on both sides. */
/* mirrors mesh_opened, mesh/link.c */
/* mirrors mesh_accept, mesh/link.c */
inline connect(k)
{
    printf("link %d connected\n", conn(k));
    st[k] = WAIT;
    st[peer(k)] = WAIT;
    age[k] = 0;
    inc[peer(k)] = life[node(peer(k))];
    w = 0;
    i = 0;
    do /* mirrors mesh_stamp, mesh/mesh.c */
    :: i < NC ->
        if
        :: ini[i] == node(k) && rank[i] > w -> w = rank[i]
        :: else
        fi;
        i++
    :: else -> break
    od;
    rank[conn(k)] = w + 1;
    push(peer(k), M_INITIAL)
}

/* ---- Time ---- */

/* Something has to happen before time goes on. */
/* mirrors live_tick, mesh/live.c */
#define expired(k) (((st[k] == WAIT || st[k] == PEERS) && age[k] >= TIMEOUT && !is_base(node(k))) || \
                    ((st[k] >= UP || is_base(node(k))) && quiet[k] >= DEAD) || \
                    (st[k] == RETIRING && quiet[k] >= HANDOVER))
#define digest_due(k) (digest[k] && st[k] == UP)
#define readable(k) (len(q[k]) > 0 && !stuck(k))
/* mirrors handover_hurry, mesh/handover.c */
#ifdef BREAK_HURRY
#define waits(k) false
#else
#define waits(k) (st[k] == RETIRING && !said[k])
#endif
#define is_hurried(k) (waits(k) && aside[k] >= HANDOVER)
#define is_due(k) (expired(k) || is_hurried(k) || digest_due(k) || (st[k] == DIALING && age[k] >= CONNECT) || \
                   (readable(k) && late[k] >= LATENCY))
/* Nothing comes: the other side is not there, or not heard. What is there PINGs, and is answered. */
#define silent(k) ((st[k] >= UP || (is_base(node(k)) && st[k] >= WAIT)) && !stuck(k) && (st[peer(k)] < UP || mute[k]))
#define counts(k) ((st[k] != CLOSED && age[k] < 4) || silent(k) || waits(k))

inline pass_time()
{
    printf("2.5 s pass\n");
    if
    :: any(readable) -> slow--
    :: else
    fi;
    backoff[0] = false;
    backoff[1] = false;
    i = 0;
    do
    :: i < E ->
        if
        :: st[i] != CLOSED && age[i] < 4 -> age[i]++
        :: else
        fi;
        if
        :: waits(i) -> aside[i]++
        :: else -> aside[i] = 0
        fi;
        if
        :: silent(i) -> quiet[i]++
        :: else -> quiet[i] = 0
        fi;
        if
        :: readable(i) -> late[i]++
        :: else
        fi;
        i++
    :: else -> break
    od
}

/* The step ends: what has been handed over goes, and what nobody refers to any more is nothing. */
/* mirrors mesh_settle, mesh/mesh.c */
inline settle()
{
    round = 0;
    do
    :: round < NC ->
        x = 0;
        do
        :: x < E ->
            if
            :: over[x] -> link_end(x, false) /* mirrors handover_finish, mesh/handover.c */
            :: else
            fi;
            x++
        :: else -> break
        od;
        round++
    :: else -> break
    od;
    x = 0;
    do
    :: x < NC ->
        if
        :: free(x) && rank[x] ->
            i = 0;
            do
            :: i < NC ->
                if
                :: ini[i] == ini[x] && rank[i] > rank[x] -> rank[i]--
                :: else
                fi;
                i++
            :: else -> break
            od;
            rank[x] = 0
        :: else
        fi;
        if
        :: free(x) ->
            ini[x] = 0; named[x] = false; inc[2 * x] = 0; inc[2 * x + 1] = 0
        :: else
        fi;
        x++
    :: else -> break
    od;
    e = 0; x = 0; i = 0; o = 0; w = 0; m = 0; n = 0; round = 0; yes = false
}

/* ---- Faults ---- */

/* The connection breaks; both sides will learn. */
inline break_both(c)
{
    printf("link %d breaks\n", c);
    empty_queue(mine(c, 0));
    empty_queue(mine(c, 1));
    push(mine(c, 0), M_CLOSE);
    push(mine(c, 1), M_CLOSE)
}

/* One side learns at once, the other by silence alone. */
inline break_one(k)
{
    printf("node %d alone loses link %d\n", node(k), conn(k));
    empty_queue(peer(k));
    mute[peer(k)] = true;
    if
    :: is_base(node(k)) -> forget(k)
    :: else -> link_end(k, false)
    fi
}

/* The process ends, and a new one starts. `told`: its kernel closes the connections. */
inline restart(at, told, back)
{
    printf("node %d starts anew, told %d, clock set back %d\n", at, told, back);
    x = at;
    do
    :: x < E ->
        if
        :: st[x] != CLOSED && told -> push(peer(x), M_CLOSE)
        :: else
        fi;
        forget(x);
        disp[x] = 0;
        x = x + 2
    :: else -> break
    od;
    life[at]++;
    set_back[at] = back;
    linked[at] = false;
    dialing[at] = false;
    backoff[at] = false
}

/* ---- What can happen ---- */

#define both_up(c) (st[2 * (c)] == UP && st[2 * (c) + 1] == UP)
#if NC == 2
#define one_link ((both_up(0) && free(1)) || (free(0) && both_up(1)))
#elif NC == 3
#define one_link ((both_up(0) && free(1) && free(2)) || (free(0) && both_up(1) && free(2)) || \
                  (free(0) && free(1) && both_up(2)))
#else
#define one_link ((both_up(0) && free(1) && free(2) && free(3)) || \
                  (free(0) && both_up(1) && free(2) && free(3)) || \
                  (free(0) && free(1) && both_up(2) && free(3)) || \
                  (free(0) && free(1) && free(2) && both_up(3)))
#endif

#define is_dialing(k) (st[k] == DIALING)
#define is_open(k) (st[k] > DIALING)
#define is_heard(k) (st[k] > DIALING && !mute[k])
#define wants(n) (!linked[n] && !dialing[n] && (DIALERS & (1 << n)) && any_free && \
                  (!backoff[n] || haste > 0))

/* Where a message goes: over the link that is UP, else one that retires and has not said GOODBYE. */
#define carries_up(k) (st[k] == UP && wanted[k])
#define carries_old(k) (st[k] == RETIRING && wanted[k] && !said[k])
#define publishes(k) (sent[node(k)] < MESSAGES && \
                      (carries_up(k) || (carries_old(k) && !carries_up((k) ^ 2))))

active proctype world()
{
    names[0] = NAMES0;
    names[1] = NAMES1;
    faults = FAULTS;
    restarts = RESTARTS;
    base_dials = BASEDIALS;
    disagree = DISAGREE;
    slow = SLOW;
    haste = HASTE;
    do
    :: atomic { any(readable) ->
        choose(readable);
        if
        :: yes = true
        :: disagree > 0 && q[e]?[M_DIGEST] -> yes = false
        fi;
        d_step { deliver(e, yes); settle() }
    }
    :: atomic { any(is_dialing) -> choose(is_dialing); d_step { connect(e); settle() } }
    :: atomic { any(digest_due) -> choose(digest_due);
        d_step { digest[e] = false; push(peer(e), M_DIGEST); settle() } }
    :: atomic { any(is_hurried) -> choose(is_hurried);
        d_step { say_goodbye(e); settle() } }
    :: atomic { any(expired) -> choose(expired);
        d_step {
            printf("node %d: time is up on link %d\n", node(e), conn(e));
            if
            :: is_base(node(e)) -> push(peer(e), M_CLOSE); forget(e)
            :: else -> link_end(e, st[e] == RETIRING)
            fi;
            settle()
        }
    }
    :: d_step { (any(counts) || backoff[0] || backoff[1]) && !any(is_due) && (slow > 0 || !any(readable)) ->
        pass_time();
        settle()
    }
    :: d_step { wants(0) -> dial(0, false); settle() }
#ifndef BASE
    :: d_step { wants(1) -> dial(1, false); settle() }
#endif
#if NAMES0
    :: d_step { names[0] > 0 && any_free -> names[0]--; dial(0, true); settle() }
#endif
#if NAMES1
    :: d_step { names[1] > 0 && any_free -> names[1]--; dial(1, true); settle() }
#endif
#if BASEDIALS
    :: d_step { base_dials > 0 && any_free -> base_dials--; dial(1, true); settle() }
#endif
#if MESSAGES
    :: atomic { any(publishes) -> choose(publishes);
        d_step {
            sent[node(e)]++;
            printf("node %d publishes %d over link %d\n", node(e), sent[node(e)], conn(e));
            push(peer(e), M_DATA + sent[node(e)]);
            settle()
        }
    }
#endif
#if FAULTS
    :: atomic { faults > 0 && any(is_open) -> choose(is_open);
        d_step { faults--; break_one(e); settle() } }
    :: atomic { faults > 0 && any(is_open) -> choose(is_open);
        d_step { faults--; break_both(conn(e)); settle() } }
    :: atomic { faults > 0 && any(is_heard) -> choose(is_heard);
        d_step { printf("node %d hears nothing on link %d\n", node(e), conn(e));
            faults--; empty_queue(e); mute[e] = true; settle() } }
#endif
#if RESTARTS
    :: atomic { restarts > 0 ->
        if :: e = 0 :: !is_base(1) -> e = 1 fi;
        if :: yes = true :: yes = false fi;
        if :: w = 0 :: w = 1 fi;
        d_step { restarts--; n = w; restart(e, yes, n); settle() }
    }
#endif
    :: else -> break
    od;
    assert(one_link);
#if MESSAGES && FAULTS == 0
    assert(sent[0] == MESSAGES && got[0] == MESSAGES);
    assert(sent[1] == MESSAGES && got[1] == MESSAGES)
#endif
}

ltl one { <>[] one_link }
