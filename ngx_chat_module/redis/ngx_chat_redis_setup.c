
#include "ngx_chat_redis_conn.h"
#include "ngx_chat_redis_cluster.h"
#include "../codec/ngx_chat_str.h"


static ngx_int_t ngx_chat_redis_setup_add(ngx_chat_redis_t *rd,
    ngx_chat_redis_step_e step, ngx_str_t *argv, ngx_uint_t argc);
static ngx_int_t ngx_chat_redis_setup_add_role(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_setup_add_id(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_setup_add_tracking(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply);
static ngx_int_t ngx_chat_redis_setup_fail(ngx_chat_redis_fault_t *fault,
    ngx_uint_t kind, const char *why);
static ngx_int_t ngx_chat_redis_setup_check_role(ngx_chat_reply_t *reply,
    ngx_chat_redis_step_e step, ngx_chat_redis_fault_t *fault);
static void ngx_chat_redis_setup_log_refusal(ngx_chat_redis_t *rd,
    ngx_chat_redis_step_e step);
static void ngx_chat_redis_setup_set_errmsg(ngx_chat_redis_t *rd,
    ngx_str_t *text);
static ngx_int_t ngx_chat_redis_setup_read_info(ngx_chat_redis_t *rd,
    ngx_str_t *info);
static ngx_int_t ngx_chat_redis_setup_add_cluster(ngx_chat_redis_t *rd);
static void ngx_chat_redis_setup_warn_policy(ngx_chat_redis_t *rd);


/* once per process */
static ngx_uint_t  ngx_chat_redis_setup_warned;
static ngx_uint_t  ngx_chat_redis_setup_logged;


ngx_int_t
ngx_chat_redis_setup_init(ngx_chat_redis_t *rd)
{
    u_char      db[NGX_INT_T_LEN], name[64];
    ngx_str_t   argv[4];
    ngx_uint_t  n;

    rd->setup.len = 0;
    rd->setup_sent = 0;
    rd->nsteps = 0;
    rd->step = 0;
    rd->policy.len = 0;
    rd->partial = 0;
    rd->single_master = 0;
    rd->replica = 0;
    rd->tracked = 0;

    if (rd->conf->password.len) {
        n = 0;

        ngx_str_set(&argv[n], "AUTH");
        n++;

        if (rd->conf->user.len) {
            argv[n++] = rd->conf->user;
        }

        argv[n++] = rd->conf->password;

        if (ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_AUTH, argv, n)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_chat_redis_setup_add_role(rd) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rd->conf->db) {
        ngx_str_set(&argv[0], "SELECT");
        argv[1].data = db;
        argv[1].len = ngx_sprintf(db, "%ui", rd->conf->db) - db;

        if (ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_SELECT, argv, 2)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_str_set(&argv[0], "CLIENT");
    ngx_str_set(&argv[1], "SETNAME");
    argv[2].data = name;
    argv[2].len = ngx_snprintf(name, sizeof(name), "ngx_chat:%s", rd->role)
                  - name;

    if (ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_SETNAME, argv, 3)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rd->tracking.len && ngx_chat_redis_setup_add_id(rd) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&argv[0], "INFO");
    ngx_str_set(&argv[1], "memory");
    ngx_str_set(&argv[2], "cluster");
    ngx_str_set(&argv[3], "replication");

    return ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_INFO, argv, 4);
}


/* a master must be one, and a Sentinel know of one */

static ngx_int_t
ngx_chat_redis_setup_add_role(ngx_chat_redis_t *rd)
{
    ngx_str_t  argv[3];

    if (rd->conf->sentinel) {
        ngx_str_set(&argv[0], "ROLE");

        return ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_ROLE, argv, 1);
    }

    if (rd->conf->master.len) {
        ngx_str_set(&argv[0], "SENTINEL");
        ngx_str_set(&argv[1], "get-master-addr-by-name");
        argv[2] = rd->conf->master;

        return ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_MASTER, argv, 3);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_setup_add_id(ngx_chat_redis_t *rd)
{
    ngx_str_t  argv[2];

    ngx_str_set(&argv[0], "CLIENT");
    ngx_str_set(&argv[1], "ID");

    return ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_ID, argv, 2);
}


/* with RESP2 news of keys come as messages, to the connection of this id */

static ngx_int_t
ngx_chat_redis_setup_add_tracking(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply)
{
    u_char     id[NGX_INT64_LEN];
    int64_t    n;
    ngx_str_t  argv[8];

    if (ngx_chat_reply_int(reply, &n) != NGX_OK) {
        return NGX_OK;
    }

    ngx_str_set(&argv[0], "CLIENT");
    ngx_str_set(&argv[1], "TRACKING");
    ngx_str_set(&argv[2], "ON");
    ngx_str_set(&argv[3], "REDIRECT");
    argv[4].data = id;
    argv[4].len = ngx_sprintf(id, "%L", n) - id;
    ngx_str_set(&argv[5], "BCAST");
    ngx_str_set(&argv[6], "PREFIX");
    argv[7] = rd->tracking;

    return ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_TRACKING, argv, 8);
}


static ngx_int_t
ngx_chat_redis_setup_add(ngx_chat_redis_t *rd, ngx_chat_redis_step_e step,
    ngx_str_t *argv, ngx_uint_t argc)
{
    rd->steps[rd->nsteps++] = step;

    return ngx_chat_resp_format(&rd->setup, argv, argc);
}


ngx_int_t
ngx_chat_redis_setup_process_reply(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply, ngx_chat_redis_fault_t *fault)
{
    ngx_str_t              s;
    ngx_chat_redis_step_e  step;

    ngx_memzero(fault, sizeof(ngx_chat_redis_fault_t));

    step = rd->steps[rd->step++];

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: setup reply %ui of %ui, to %s",
                   rd->role, rd->step, rd->nsteps,
                   ngx_chat_redis_get_step_name(step));

    if (ngx_chat_reply_error(reply, &s) == NGX_OK) {

        if (step == NGX_CHAT_REDIS_AUTH) {
            ngx_chat_redis_setup_set_errmsg(rd, &s);
            return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_REFUSED,
                                             "AUTH was refused");
        }

        /* kept also if it goes on: the server may close right after it */

        ngx_chat_redis_set_errmsg(rd, &s);

        if (step == NGX_CHAT_REDIS_SELECT) {
            return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_REFUSED,
                                             "SELECT was refused");
        }

        if (ngx_chat_redis_starts_with(&s, "NOAUTH")) {
            return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_REFUSED,
                                             "a password is needed");
        }

        if (step == NGX_CHAT_REDIS_MASTER) {
            return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_REFUSED,
                                       "it does not tell where the master is");
        }

        ngx_chat_redis_setup_log_refusal(rd, step);

    } else if (step == NGX_CHAT_REDIS_ROLE || step == NGX_CHAT_REDIS_MASTER) {

        if (ngx_chat_redis_setup_check_role(reply, step, fault) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (step == NGX_CHAT_REDIS_INFO) {

        if (ngx_chat_reply_str(reply, &s) == NGX_OK
            && ngx_chat_redis_setup_read_info(rd, &s) != NGX_OK)
        {
            return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_NO_MEMORY,
                                             "no memory");
        }

    } else if (step == NGX_CHAT_REDIS_ID) {

        if (ngx_chat_redis_setup_add_tracking(rd, reply) != NGX_OK) {
            return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_NO_MEMORY,
                                             "no memory");
        }

    } else if (step == NGX_CHAT_REDIS_TRACKING) {
        rd->tracked = 1;

    } else if (step == NGX_CHAT_REDIS_CLUSTER) {
        ngx_chat_redis_cluster_reply_handler(rd, reply);

    } else if (ngx_chat_reply_str(reply, &s) != NGX_OK) {
        return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_GARBLED,
                                         "an odd reply to the handshake");
    }

    if (rd->step < rd->nsteps) {
        return NGX_AGAIN;
    }

    if (rd->setup_sent != rd->setup.len) {
        return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_GARBLED,
                                         "a reply that answers no command");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_setup_fail(ngx_chat_redis_fault_t *fault, ngx_uint_t kind,
    const char *why)
{
    fault->kind = kind;
    fault->why = why;

    return NGX_ERROR;
}


/* the connection does without; a stopping server may refuse as well */

static void
ngx_chat_redis_setup_log_refusal(ngx_chat_redis_t *rd,
    ngx_chat_redis_step_e step)
{
    ngx_uint_t  level;

    level = ngx_chat_redis_setup_logged ? NGX_LOG_INFO : NGX_LOG_WARN;

    ngx_chat_redis_setup_logged = 1;

    ngx_log_error(level, rd->log, 0,
                  "chat redis %V, %s: %s was refused: \"%V\"",
                  &rd->conf->name, rd->role,
                  ngx_chat_redis_get_step_name(step), &rd->errmsg);
}


static ngx_int_t
ngx_chat_redis_setup_check_role(ngx_chat_reply_t *reply,
    ngx_chat_redis_step_e step,
    ngx_chat_redis_fault_t *fault)
{
    ngx_str_t  s;

    if (ngx_chat_reply_str(ngx_chat_reply_at(reply, 0), &s) != NGX_OK) {
        s.len = 0;
    }

    if (step == NGX_CHAT_REDIS_MASTER) {

        if (s.len) {
            return NGX_OK;
        }

        return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_REFUSED,
                                      "no master of that name is known there");
    }

    if (ngx_chat_str_is(&s, "master")) {
        return NGX_OK;
    }

    fault->not_master = 1;

    return ngx_chat_redis_setup_fail(fault, NGX_CHAT_REDIS_REFUSED,
                                "what Sentinel calls the master is a replica");
}


/* an unknown or renamed AUTH is answered with its arguments */

static void
ngx_chat_redis_setup_set_errmsg(ngx_chat_redis_t *rd, ngx_str_t *text)
{
    u_char     *p, *last;
    ngx_str_t   s, *password;

    s = *text;
    last = s.data + s.len;

    p = ngx_strlcasestrn(s.data, last, (u_char *) "with args",
                         sizeof("with args") - 2);
    if (p) {
        s.len = p - s.data;

        while (s.len && (s.data[s.len - 1] == ' '
                         || s.data[s.len - 1] == ','))
        {
            s.len--;
        }
    }

    password = &rd->conf->password;

    for (p = s.data; password->len <= (size_t) (s.data + s.len - p); p++) {

        if (ngx_memcmp(p, password->data, password->len) == 0) {

            /* the code alone, such as WRONGPASS */

            p = ngx_strlchr(s.data, s.data + s.len, ' ');
            s.len = p ? (size_t) (p - s.data) : 0;
            break;
        }
    }

    ngx_chat_redis_set_errmsg(rd, &s);
}


static ngx_int_t
ngx_chat_redis_setup_read_info(ngx_chat_redis_t *rd, ngx_str_t *info)
{
    ngx_str_t  value;

    if (ngx_chat_redis_cluster_get_value(info, "maxmemory_policy:",
                                         &value) == NGX_OK
        && value.len <= NGX_CHAT_REDIS_MAX_POLICY)
    {
        ngx_memcpy(rd->policy.data, value.data, value.len);
        rd->policy.len = value.len;
    }

    ngx_chat_redis_setup_warn_policy(rd);

    if (!ngx_chat_redis_cluster_is_enabled(rd, info)) {
        return NGX_OK;
    }

    return ngx_chat_redis_setup_add_cluster(rd);
}


/* an extra step, within the timeout of the others */

static ngx_int_t
ngx_chat_redis_setup_add_cluster(ngx_chat_redis_t *rd)
{
    ngx_str_t  argv[2];

    ngx_str_set(&argv[0], "CLUSTER");
    ngx_str_set(&argv[1], "INFO");

    return ngx_chat_redis_setup_add(rd, NGX_CHAT_REDIS_CLUSTER, argv, 2);
}


static void
ngx_chat_redis_setup_warn_policy(ngx_chat_redis_t *rd)
{
    if (ngx_chat_redis_setup_warned
        || ngx_strcmp(rd->role, "commands") != 0
        || !ngx_chat_redis_starts_with(&rd->policy, "allkeys-"))
    {
        return;
    }

    ngx_chat_redis_setup_warned = 1;

    ngx_log_error(NGX_LOG_WARN, rd->log, 0,
                  "chat redis %V: maxmemory-policy \"%V\" may evict the task "
                  "queue and running generations, \"noeviction\" does not",
                  &rd->conf->name, &rd->policy);
}
