
#include "fake_loop.h"


static void fake_posted(void);
static ngx_rbtree_node_t *fake_first(ngx_rbtree_t *tree);
static void fake_replace(ngx_rbtree_t *tree, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *child);
static void fake_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel, ngx_int_t (*less)(ngx_rbtree_node_t *a,
    ngx_rbtree_node_t *b));
static ngx_int_t fake_less_time(ngx_rbtree_node_t *a, ngx_rbtree_node_t *b);
static ngx_int_t fake_less_str(ngx_rbtree_node_t *a, ngx_rbtree_node_t *b);
static ngx_int_t fake_less_key(ngx_rbtree_node_t *a, ngx_rbtree_node_t *b);


uint64_t __wrap_ngx_chat_metrics_clock(void);


static ngx_time_t     fake_time;

uint64_t              fake_clock = 1000000;

ngx_uint_t            ngx_exiting;
ngx_queue_t           ngx_posted_events;
ngx_queue_t           ngx_posted_next_events;
ngx_rbtree_t          ngx_event_timer_rbtree;
volatile ngx_msec_t   ngx_current_msec;
volatile ngx_time_t  *ngx_cached_time = &fake_time;

/* all zero: every name has the same hash, which tries the trees hard */
uint32_t              ngx_crc32_table256[256];

static ngx_rbtree_node_t  fake_sentinel;


/* the linker has this called in place of the one of the metrics */

uint64_t
__wrap_ngx_chat_metrics_clock(void)
{
    return fake_clock;
}


void
fake_loop_init(void)
{
    ngx_current_msec = 1000000;

    ngx_queue_init(&ngx_posted_events);
    ngx_queue_init(&ngx_posted_next_events);
    ngx_rbtree_init(&ngx_event_timer_rbtree, &fake_sentinel,
                    ngx_rbtree_insert_timer_value);
}


void
fake_loop_run(ngx_msec_t ms)
{
    ngx_event_t        *ev;
    ngx_msec_t          until;
    ngx_rbtree_node_t  *node;

    until = ngx_current_msec + ms;

    fake_posted();

    for ( ;; ) {
        node = fake_first(&ngx_event_timer_rbtree);

        if (node == NULL || node->key > until) {
            break;
        }

        ev = ngx_rbtree_data(node, ngx_event_t, timer);

        ngx_current_msec = ngx_max(ngx_current_msec, node->key);

        ngx_rbtree_delete(&ngx_event_timer_rbtree, node);
        ev->timer_set = 0;
        ev->timedout = 1;
        ev->handler(ev);

        fake_posted();
    }

    ngx_current_msec = until;
}


void
fake_loop_move_next(void)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&ngx_posted_next_events)) {
        q = ngx_queue_head(&ngx_posted_next_events);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_posted_events, q);
    }
}


static void
fake_posted(void)
{
    ngx_queue_t  *q;
    ngx_event_t  *ev;

    fake_loop_move_next();

    while (!ngx_queue_empty(&ngx_posted_events)) {
        q = ngx_queue_head(&ngx_posted_events);
        ev = ngx_queue_data(q, ngx_event_t, queue);

        ngx_delete_posted_event(ev);
        ev->handler(ev);
    }
}


ngx_int_t
fake_loop_next(void)
{
    ngx_rbtree_node_t  *node;

    node = fake_first(&ngx_event_timer_rbtree);

    if (node == NULL) {
        return -1;
    }

    return node->key > ngx_current_msec
           ? (ngx_int_t) (node->key - ngx_current_msec) : 0;
}


static ngx_rbtree_node_t *
fake_first(ngx_rbtree_t *tree)
{
    if (tree->root == tree->sentinel) {
        return NULL;
    }

    return ngx_rbtree_min(tree->root, tree->sentinel);
}


/* trees are not balanced here */

void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    if (tree->root == tree->sentinel) {
        node->parent = NULL;
        node->left = tree->sentinel;
        node->right = tree->sentinel;
        tree->root = node;
        return;
    }

    tree->insert(tree->root, node, tree->sentinel);
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    ngx_rbtree_node_t  *next;

    if (node->left == tree->sentinel) {
        fake_replace(tree, node, node->right);

    } else if (node->right == tree->sentinel) {
        fake_replace(tree, node, node->left);

    } else {
        next = ngx_rbtree_min(node->right, tree->sentinel);

        if (next->parent != node) {
            fake_replace(tree, next, next->right);
            next->right = node->right;
            next->right->parent = next;
        }

        fake_replace(tree, node, next);
        next->left = node->left;
        next->left->parent = next;
    }

    node->left = NULL;
    node->right = NULL;
    node->parent = NULL;
}


static void
fake_replace(ngx_rbtree_t *tree, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *child)
{
    if (node->parent == NULL) {
        tree->root = child;

    } else if (node->parent->left == node) {
        node->parent->left = child;

    } else {
        node->parent->right = child;
    }

    if (child != tree->sentinel) {
        child->parent = node->parent;
    }
}


static void
fake_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel, ngx_int_t (*less)(ngx_rbtree_node_t *a,
    ngx_rbtree_node_t *b))
{
    ngx_rbtree_node_t  **p;

    for ( ;; ) {
        p = less(node, temp) ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;

    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
}


static ngx_int_t
fake_less_time(ngx_rbtree_node_t *a, ngx_rbtree_node_t *b)
{
    return a->key < b->key;
}


static ngx_int_t
fake_less_str(ngx_rbtree_node_t *a, ngx_rbtree_node_t *b)
{
    ngx_str_node_t  *x, *y;

    if (a->key != b->key) {
        return a->key < b->key;
    }

    x = (ngx_str_node_t *) a;
    y = (ngx_str_node_t *) b;

    if (x->str.len != y->str.len) {
        return x->str.len < y->str.len;
    }

    return memcmp(x->str.data, y->str.data, x->str.len) < 0;
}


void
ngx_rbtree_insert_timer_value(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    fake_insert(temp, node, sentinel, fake_less_time);
}


static ngx_int_t
fake_less_key(ngx_rbtree_node_t *a, ngx_rbtree_node_t *b)
{
    return a->key < b->key;
}


void
ngx_rbtree_insert_value(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    fake_insert(temp, node, sentinel, fake_less_key);
}


void
ngx_str_rbtree_insert_value(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    fake_insert(temp, node, sentinel, fake_less_str);
}


ngx_str_node_t *
ngx_str_rbtree_lookup(ngx_rbtree_t *tree, ngx_str_t *name, uint32_t hash)
{
    ngx_str_node_t      key;
    ngx_rbtree_node_t  *node;

    key.node.key = hash;
    key.str = *name;

    node = tree->root;

    while (node != tree->sentinel) {

        if (fake_less_str(&key.node, node)) {
            node = node->left;

        } else if (fake_less_str(node, &key.node)) {
            node = node->right;

        } else {
            return (ngx_str_node_t *) node;
        }
    }

    return NULL;
}
