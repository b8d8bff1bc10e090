
/*
 * The fields of records that have some: as bytes, and back.  Both ends are
 * of one release on one host, so numbers travel as they are; what arrives is
 * checked all the same.
 *
 *   FILL        generation (h, id, fp), label, fill, and the fields of a task
 *   CHUNK       kind, and the text behind
 *   RESTART     label
 *   END         finish reason, provider, model, usage
 *   FAIL        error
 *   LISTENERS   0 or 1
 *   NOT_KEPT    reason, for the log
 */


#ifndef _NGX_CHAT_LANE_RECORD_H_INCLUDED_
#define _NGX_CHAT_LANE_RECORD_H_INCLUDED_


#include "ngx_chat_lane.h"
#include "../codec/ngx_chat_error.h"
#include "../codec/ngx_chat_trace.h"


/* bytes of fields besides strings, for any record */
#define NGX_CHAT_LANE_FIELDS  512

/* bytes of a label, at most */
#define NGX_CHAT_LANE_LABEL   128


typedef struct {
    u_char                 h[NGX_CHAT_HASH_LEN];
    u_char                 id[NGX_CHAT_ID_LEN];
    u_char                 fp[NGX_CHAT_FP_LEN];

    ngx_str_t              label;      /* of the attempt that follows */
    ngx_uint_t             fill;       /* 1, and one more each time */

    ngx_str_t              providers;  /* as in ngx_chat_task_t */
    ngx_str_t              messages;
    ngx_chat_trace_t       trace;
    ngx_msec_t             ttl;
    ngx_msec_t             stale;
    size_t                 max_answer;
    ngx_uint_t             cancel;
    ngx_msec_t             grace;
} ngx_chat_lane_fill_t;


typedef struct {
    ngx_str_t              finish;
    ngx_str_t              provider;
    ngx_str_t              model;
    ngx_str_t              usage;
} ngx_chat_lane_complete_t;


/* kinds of texts; others may come with other dialects */
typedef enum {
    NGX_CHAT_LANE_ANSWER = 0,
    NGX_CHAT_LANE_KINDS            /* their number */
} ngx_chat_lane_kind_e;


/*
 * How many bytes the fields take, and the fields at p; returns where they end.
 * messages of FILL are not among them: they are the text of the record.
 */
size_t ngx_chat_lane_fill_len(ngx_chat_lane_fill_t *fill);
u_char *ngx_chat_lane_fill_write(u_char *p, ngx_chat_lane_fill_t *fill);

size_t ngx_chat_lane_complete_len(ngx_chat_lane_complete_t *complete);
u_char *ngx_chat_lane_complete_write(u_char *p,
    ngx_chat_lane_complete_t *complete);

/* a number, as the fields of CHUNK (kind), FAIL and LISTENERS; 4 bytes */
u_char *ngx_chat_lane_number_write(u_char *p, uint32_t n);

/*
 * The other way; strings lie in body.  NGX_OK; NGX_ERROR: body is no such
 * record.
 */
ngx_int_t ngx_chat_lane_fill_read(ngx_str_t *body, ngx_chat_lane_fill_t *fill);
ngx_int_t ngx_chat_lane_label_read(ngx_str_t *body, ngx_str_t *label);
ngx_int_t ngx_chat_lane_complete_read(ngx_str_t *body,
    ngx_chat_lane_complete_t *complete);
ngx_int_t ngx_chat_lane_chunk_read(ngx_str_t *body, ngx_chat_lane_kind_e *kind,
    ngx_str_t *text);
ngx_int_t ngx_chat_lane_fail_read(ngx_str_t *body, ngx_chat_error_e *error);
ngx_int_t ngx_chat_lane_number_read(ngx_str_t *body, uint32_t *n);


#endif /* _NGX_CHAT_LANE_RECORD_H_INCLUDED_ */
