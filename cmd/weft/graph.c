/* weft graph: the mesh as a drawing for Graphviz, from what a node and those linked to it tell.
 *
 * A node is known by its id, and by its URL where it has none (a base peer). Both ends of a link
 * tell of it; it is drawn once, with the mean of their round trips. Where nobody has a link, but
 * one end would like to, a dashed line says so. */
#include <stdio.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/explain.h"
#include "../common/memory.h"
#include "../common/report_json.h"
#include "../common/units.h"
#include "../common/words.h"
#include "crawl.h"

static const struct option options[] = {INSPECT_LONG, {NULL, 0, NULL, 0}};

struct vertex {
    const char *url, *path, *agent, *role; /* of the reports */
    const uint8_t *id;
    bool tells;
};

struct edge {
    size_t a, b;
    const char *state; /* "linked", or what keeps them apart */
    uint64_t rtt_ns;   /* sum of what both ends tell */
    unsigned rtts;
};

struct graph {
    struct vertex *vertices;
    size_t n_vertices;
    struct edge *edges;
    size_t n_edges;
};

/* ---- Putting it together -----------------------------------------------------------------------
 */

static bool has_id(const uint8_t *id)
{
    static const uint8_t none[16];
    return memcmp(id, none, sizeof(none)) != 0;
}

static size_t vertex(struct graph *g, const char *url, const uint8_t *id)
{
    for (size_t i = 0; i < g->n_vertices; i++) {
        const struct vertex *v = &g->vertices[i];
        if (has_id(id) && has_id(v->id) ? memcmp(v->id, id, 16) == 0 : strcmp(v->url, url) == 0)
            return i;
    }
    g->vertices = xresize(g->vertices, (g->n_vertices + 1) * sizeof(*g->vertices));
    g->vertices[g->n_vertices] =
        (struct vertex){.url = url, .path = "", .agent = "", .role = "", .id = id};
    return g->n_vertices++;
}

static struct edge *edge(struct graph *g, size_t a, size_t b, const char *state)
{
    for (size_t i = 0; i < g->n_edges; i++) {
        struct edge *e = &g->edges[i];
        if ((e->a == a && e->b == b) || (e->a == b && e->b == a))
            return e;
    }
    g->edges = xresize(g->edges, (g->n_edges + 1) * sizeof(*g->edges));
    g->edges[g->n_edges] = (struct edge){.a = a, .b = b, .state = state};
    return &g->edges[g->n_edges++];
}

static void add_peer(struct graph *g, size_t teller, const weft_peer_info *p)
{
    bool linked = strcmp(p->state, "linked") == 0;
    size_t other = vertex(g, p->url, p->node_id);
    if (other == teller)
        return;
    struct vertex *v = &g->vertices[other];
    if (!v->tells && linked) {
        v->path = p->path;
        v->agent = p->agent;
        v->role = p->base ? "base" : role_word((int)p->role);
    } else if (!*v->path) {
        v->path = p->path;
    }
    struct edge *e = edge(g, teller, other, p->state);
    if (linked) {
        e->state = p->state;
        e->rtt_ns += p->rtt_ns;
        e->rtts += p->rtt_ns > 0;
    }
}

/* Those who tell come first, so that a peer known by its id is found under the name it gives
 * itself. */
static void put_together(struct graph *g, const struct crawl *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (!c->nodes[i].tells)
            continue;
        const weft_status *s = c->nodes[i].answer.shown.status;
        size_t at = vertex(g, s->url, s->node_id); /* may move the vertices */
        struct vertex *v = &g->vertices[at];
        v->path = s->path;
        v->agent = s->agent;
        v->role = role_word((int)s->role);
        v->tells = true;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (!c->nodes[i].tells)
            continue;
        const weft_report *r = &c->nodes[i].answer.shown;
        size_t teller = vertex(g, r->status->url, r->status->node_id);
        for (size_t k = 0; k < r->n_peers; k++)
            add_peer(g, teller, &r->peers[k]);
    }
}

static uint64_t mean_rtt(const struct edge *e)
{
    return e->rtts ? e->rtt_ns / e->rtts : 0;
}

/* ---- Output ------------------------------------------------------------------------------------
 */

/* Inside a quoted string of DOT: quotes and backslashes get one more backslash. */
static void print_dot(const char *text)
{
    char *safe = text_safe_copy(text);
    for (const char *p = safe; *p; p++) {
        if (*p == '"' || *p == '\\')
            putchar('\\');
        putchar(*p);
    }
    xfree(safe);
}

static void print_vertex(size_t i, const struct vertex *v)
{
    printf("  n%zu [label=\"", i);
    print_dot(*v->path ? v->path : "(no path)");
    fputs("\\n", stdout);
    print_dot(v->url);
    if (*v->agent) {
        fputs("\\n", stdout);
        print_dot(v->agent);
    }
    if (*v->role && strcmp(v->role, "peer") != 0)
        printf(", %s", v->role);
    if (v->tells)
        puts("\"];");
    else
        printf("%s\", style=\"rounded,dashed\"];\n",
               url_dialable(v->url) ? "\\n(does not tell)" : "");
}

static void print_edge(const struct edge *e)
{
    char rtt[UNITS_TEXT] = "";
    bool linked = strcmp(e->state, "linked") == 0;
    if (e->rtts)
        ns_format(mean_rtt(e), rtt);
    printf("  n%zu -- n%zu [label=\"", e->a, e->b);
    print_dot(linked ? rtt : e->state);
    puts(linked ? "\"];" : "\", style=dashed, color=red, fontcolor=red];");
}

static int print_graph(const struct graph *g, size_t left_out)
{
    puts("graph weft {\n"
         "  node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=11];\n"
         "  edge [fontname=\"sans-serif\", fontsize=10];");
    for (size_t i = 0; i < g->n_vertices; i++)
        print_vertex(i, &g->vertices[i]);
    for (size_t i = 0; i < g->n_edges; i++)
        print_edge(&g->edges[i]);
    if (left_out)
        printf("  // %zu more nodes were not asked\n", left_out);
    puts("}");
    return output_done();
}

static json_t *vertex_json(const struct vertex *v)
{
    char id[NODE_ID_TEXT];
    node_id_format(v->id, id);
    return json_pack("{s:o, s:o, s:o, s:s, s:s?, s:b}", "url", text_json(v->url), "path",
                     text_json(v->path), "agent", text_json(v->agent), "role", v->role, "node_id",
                     *id ? id : NULL, "tells", v->tells);
}

static json_t *edge_json(const struct graph *g, const struct edge *e)
{
    json_t *rtt = e->rtts ? json_integer((json_int_t)mean_rtt(e)) : json_null();
    return json_pack("{s:o, s:o, s:o, s:o}", "a", text_json(g->vertices[e->a].url), "b",
                     text_json(g->vertices[e->b].url), "state", text_json(e->state), "rtt_ns", rtt);
}

static json_t *graph_json(const struct graph *g)
{
    json_t *nodes = json_array(), *links = json_array();
    bool ok = true;
    for (size_t i = 0; i < g->n_vertices; i++)
        ok = json_array_append_new(nodes, vertex_json(&g->vertices[i])) == 0 && ok;
    for (size_t i = 0; i < g->n_edges; i++)
        ok = json_array_append_new(links, edge_json(g, &g->edges[i])) == 0 && ok;
    if (ok)
        return json_pack("{s:o, s:o}", "nodes", nodes, "links", links);
    json_decref(nodes);
    json_decref(links);
    return NULL;
}

/* ---- Asking ------------------------------------------------------------------------------------
 */

static int draw(struct inspector *in)
{
    struct crawl *c = xresize(NULL, sizeof(*c));
    struct graph g = {0};
    weft_query query;
    weft_query_init(&query);
    query.parts = WEFT_PART_STATUS | WEFT_PART_PEERS;
    int code = crawl(in, &query, CRAWL_LINKED, c);
    if (code == EXIT_OK) {
        put_together(&g, c);
        code = in->json ? print_json(graph_json(&g), false) : print_graph(&g, c->left_out);
    }
    xfree(g.vertices);
    xfree(g.edges);
    crawl_fini(c);
    xfree(c);
    return code;
}

static int run(int argc, char **argv)
{
    struct inspector in = {INSPECTOR_DEFAULTS};
    bool done = false;
    int code = inspect_parse(argc, argv, options, &graph_command, &in, &done);
    if (code == EXIT_OK && !done)
        code = draw(&in);
    link_fini(&in.link);
    return code;
}

const struct command graph_command = {
    .name = "graph",
    .run = run,
    .summary = "draw the mesh, for Graphviz",
    .help =
        "usage: weft graph URL [--json] [options]\n"
        "\n"
        "Asks the node at URL and those linked to it for their links, and prints the\n"
        "mesh as a graph for Graphviz: nodes with path and program, links with round\n"
        "trips. Nodes that do not tell are dashed, and so are links that are wanted and\n"
        "do not stand.\n"
        "\n"
        "      --json          one JSON object with the members nodes and links\n" INSPECT_HELP "\n"
        "  weft graph unix:///run/weft/weftd.sock/ | dot -Tsvg >mesh.svg\n"
        "\n"
        "Exit codes: 0 printed; 1 no such node, or it does not tell; 2 wrong usage.\n",
};
