/* zcrpc/layout.h - the binary layouts that other languages read in memory. Types only: no function, no pointer
 * in a shared record, host byte order. Numbered: a change here is a new ZCRPC_LAYOUT. Prose in docs/layout.md. */
#ifndef ZCRPC_LAYOUT_H
#define ZCRPC_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define ZCRPC_LAYOUT 1
#define ZCRPC_LAYOUT_CHECK(name, truth) typedef char zcrpc_layout_check_##name[(truth) ? 1 : -1]

/* ---- Loop records ------------------------------------------------------------------------------------------- */

enum { /* zcrpc_op.kind */
  ZCRPC_OP_START = 1,   /* client: open a call on `target` (zcrpc_channel_bind); takes tag, metadata, message, timeout */
  ZCRPC_OP_SEND = 2,    /* one message; server: response headers (meta) go out before the first */
  ZCRPC_OP_FINISH = 3,  /* server: end with `value` as code; data: last message (OK) or error text; meta: trailers */
  ZCRPC_OP_READ = 4,    /* grant `value` more messages */
  ZCRPC_OP_CANCEL = 5,  /* client: cancel; server: reset without trailers */
  ZCRPC_OP_RELEASE = 6  /* give back a BORROWED delivery; data: the event's data */
};
enum { /* zcrpc_op.flags */
  ZCRPC_OP_NO_MESSAGE = 1, /* data and len are not a message (a zero-length message is a message) */
  ZCRPC_OP_LAST = 2,       /* client: half-close after this message */
  ZCRPC_OP_BUFFER = 4,     /* data: address of a zcrpc_buffer; the caller's reference passes to the loop */
  ZCRPC_OP_STATUS = 8,     /* FINISH with an error: data is an encoded google.rpc.Status (code, text, details) */
  ZCRPC_OP_META_EVENTS = 16, /* START: deliver HEADERS and TRAILERS events */
  ZCRPC_OP_ASK_ROOM = 32     /* SEND: answer with WRITABLE as soon as there is room */
};
/* An operation, 64 bytes. Offsets count from the base given beside the array and are bounds-checked. An operation
 * on a call that has ended is dropped and counted (zcrpc_stats.late_ops): ids are never reused. */
typedef struct zcrpc_op {
  uint64_t target;     /*  0  call id; START: id from zcrpc_channel_bind */
  uint64_t tag;        /*  8  not 0: from now on the call's tag, in every event */
  uint64_t data;       /* 16  offset of the bytes */
  uint64_t len;        /* 24  their length */
  uint64_t meta;       /* 32  offset of a metadata block */
  uint32_t meta_len;   /* 40  its length; 0: none */
  uint16_t kind;       /* 44  ZCRPC_OP_ */
  uint16_t flags;      /* 46  ZCRPC_OP_ flags */
  int32_t value;       /* 48  FINISH: code; READ: credits */
  int32_t timeout_ms;  /* 52  START: 0 is the channel's default, -1 none */
  uint64_t reserved;   /* 56  0 */
} zcrpc_op;
ZCRPC_LAYOUT_CHECK(op, sizeof(zcrpc_op) == 64 && offsetof(zcrpc_op, meta_len) == 40 && offsetof(zcrpc_op, value) == 48);

enum { /* zcrpc_event.kind */
  ZCRPC_EVENT_REQUEST = 1,    /* server: a call has come; carries the message of a unary or server-stream method */
  ZCRPC_EVENT_HEADERS = 2,    /* metadata block; server: right before REQUEST; client: the response's headers (neither
                                 in this version: zcrpc_call_metadata) */
  ZCRPC_EVENT_MESSAGE = 3,    /* one message of a stream; uses one credit */
  ZCRPC_EVENT_HALF_CLOSE = 4, /* server: the client will send no more */
  ZCRPC_EVENT_WRITABLE = 5,   /* room again after it was 0, or OP_ASK_ROOM; value: bytes */
  ZCRPC_EVENT_TRAILERS = 6,   /* metadata block; right before DONE */
  ZCRPC_EVENT_DONE = 7,       /* the one terminal event of every call; value: code; client unary OK: the message */
  ZCRPC_EVENT_RELEASED = 8,   /* memory of zcrpc_loop_wrap is the caller's again; tag: its tag */
  ZCRPC_EVENT_DRAINED = 9     /* server: the last call has ended after zcrpc_server_drain; tag: 0 */
};
enum { /* zcrpc_event.flags */
  ZCRPC_EVENT_BORROWED = 1, /* too large for the arena: data and index are addresses, valid until OP_RELEASE */
  ZCRPC_EVENT_STATUS = 2,   /* DONE: data is an encoded google.rpc.Status, not plain text */
  ZCRPC_EVENT_END = 4       /* REQUEST or MESSAGE: nothing more will come from the peer */
};
/* An event, 48 bytes. With zcrpc_turn.arena, data and index are offsets into it; without, addresses that are
 * valid until the next turn. */
typedef struct zcrpc_event {
  uint64_t call;      /*  0  call id */
  uint64_t tag;       /*  8  the call's tag; a server call starts with its route's */
  uint64_t data;      /* 16  bytes of the message, block or text */
  uint64_t index;     /* 24  zcrpc_index of the message; 0: none (opaque method) */
  uint32_t len;       /* 32  */
  uint32_t index_len; /* 36  */
  uint16_t kind;      /* 40  ZCRPC_EVENT_ */
  uint16_t flags;     /* 42  ZCRPC_EVENT_ flags */
  int32_t value;      /* 44  DONE: code; REQUEST: ms left, -1 no deadline */
} zcrpc_event;
ZCRPC_LAYOUT_CHECK(event, sizeof(zcrpc_event) == 48 && offsetof(zcrpc_event, len) == 32 && offsetof(zcrpc_event, value) == 44);

/* A metadata block is entries without padding: this head, then the name, then the value (raw bytes for -bin). */
typedef struct zcrpc_meta_head {
  uint32_t name_len;
  uint32_t value_len;
} zcrpc_meta_head;
ZCRPC_LAYOUT_CHECK(meta, sizeof(zcrpc_meta_head) == 8);

/* ---- The index of a message --------------------------------------------------------------------------------- */

/* Offsets "in the index" count from zcrpc_index; offsets "in the input" from the message's first byte. Both fit in
 * 31 bits; bit 31 says "elsewhere": of a run, in the input (packed fixed width, borrowed, little-endian, unaligned);
 * of a sub-message, not decoded yet (lazy views, C only). 0 is absent: the header lies there. */
#define ZCRPC_ELSEWHERE 0x80000000u
#define ZCRPC_INDEX_MAGIC 0x315A435Au /* "ZCZ1" */

/* Head of every index, 48 bytes, 8-aligned. Copying input and index to other addresses keeps all of it valid. */
typedef struct zcrpc_index {
  uint32_t magic;         /*  0  ZCRPC_INDEX_MAGIC */
  uint32_t layout;        /*  4  ZCRPC_LAYOUT by which it was built */
  uint32_t size;          /*  8  bytes of the index, this head included */
  uint32_t root;          /* 12  offset of the root message */
  uint32_t input_len;     /* 16 */
  uint32_t flags;         /* 20  ZCRPC_INDEX_ */
  uint32_t unknown;       /* 24  offset of zcrpc_range[unknown_count]: unknown fields, ordered by message, then by place */
  uint32_t unknown_count; /* 28 */
  uint32_t pieces;        /* 32  offset of zcrpc_range[piece_count]: payloads of merged messages, ordered likewise */
  uint32_t piece_count;   /* 36 */
  uint64_t fingerprint;   /* 40  of the root's type; generated code compares it */
} zcrpc_index;
ZCRPC_LAYOUT_CHECK(index, sizeof(zcrpc_index) == 48 && offsetof(zcrpc_index, fingerprint) == 40);
enum { ZCRPC_INDEX_LAZY = 1, ZCRPC_INDEX_PROJECTED = 2 };

/* Head of every message, 16 bytes, 8-aligned; `const zcrpc_view *` points here. What follows is told by the layout
 * of its type, see docs/layout.md: further presence words, then the slots; the size is a multiple of 8. */
typedef struct zcrpc_head {
  uint32_t self;    /*  0  own offset in the index: address - self is the zcrpc_index */
  uint32_t start;   /*  4  offset in the input of its length prefix (root: 0; group: of its first field) */
  uint32_t type_no; /*  8  bits 0..23 type number in its schema, bits 24..31 ZCRPC_HEAD_ flags */
  uint32_t present; /* 12  presence bits 0..31 */
} zcrpc_head;
ZCRPC_LAYOUT_CHECK(head, sizeof(zcrpc_head) == 16 && offsetof(zcrpc_head, present) == 12);
#define ZCRPC_HEAD_TYPE 0x00FFFFFFu
#define ZCRPC_HEAD_ROOT 0x01000000u    /* the bytes are the whole input */
#define ZCRPC_HEAD_GROUP 0x02000000u   /* delimited encoding: the bytes end before the matching end tag */
#define ZCRPC_HEAD_MERGED 0x04000000u  /* came in several pieces, which the table of pieces lists */
#define ZCRPC_HEAD_UNKNOWN 0x08000000u /* has rows in the unknown table */

/* Slots: 64-bit and 32-bit numbers and bool (1 byte, 0 or 1) in place; a sub-message is its u32 offset in the index; a
 * oneof is a u32 case (field number, 0 none) and one slot as wide as its widest member. */
typedef struct zcrpc_str { uint32_t offset, len; } zcrpc_str;   /* string or bytes, in the input */
typedef struct zcrpc_run { uint32_t offset, count; } zcrpc_run; /* repeated: elements lie side by side, messages whole */
/* A stretch of the input that belongs to a message. number 0: whole fields, tags included (in the table of pieces:
 * the payload without tag and length). Else the bytes are one bare varint, an unknown number of the closed enum
 * field `number`. */
typedef struct zcrpc_range { uint32_t message, number, offset, len; } zcrpc_range;
/* An extension that is set. Messages with extension ranges have a zcrpc_run of these, ascending by number, without
 * duplicates. value holds what a slot of the field's kind and shape would hold, in its first bytes. */
typedef struct zcrpc_ext { uint32_t number, reserved; uint64_t value; } zcrpc_ext;
ZCRPC_LAYOUT_CHECK(ext, sizeof(zcrpc_ext) == 16);
/* Lazy views, C only: a sub-message that waits to be opened. A slot or run with bit 31 set leads to it (a run to one for
 * each element). Of a message that came in several pieces it is the first one's, and the others follow by `next`. */
typedef struct zcrpc_lazy {
  uint64_t view;  /*  0  address of the sub-message's zcrpc_head once it was opened; 0 */
  uint32_t start; /*  8  offset in the input of its length prefix */
  uint32_t next;  /* 12  offset in the index of the next piece's; 0: none */
  uint32_t last;  /* 16  of the first piece's: the last one's; 0: there is one piece */
  uint32_t depth; /* 20  levels above it */
} zcrpc_lazy;
ZCRPC_LAYOUT_CHECK(lazy, sizeof(zcrpc_lazy) == 24 && offsetof(zcrpc_lazy, depth) == 20);
ZCRPC_LAYOUT_CHECK(str, sizeof(zcrpc_str) == 8);
ZCRPC_LAYOUT_CHECK(run, sizeof(zcrpc_run) == 8);
ZCRPC_LAYOUT_CHECK(range, sizeof(zcrpc_range) == 16);
/* A map is a run of entries {key slot, value slot}, wider slot first, without heads; the rows of its entry type tell
 * the offsets; the last of equal keys has already won. */

enum { ZCRPC_SHAPE_SINGULAR = 0, ZCRPC_SHAPE_REPEATED = 1, ZCRPC_SHAPE_MAP = 2 };
#define ZCRPC_NO_BIT 0xFFFFu

/* One row of zcrpc_type_layout, 24 bytes: where a field lies. */
typedef struct zcrpc_slot {
  uint32_t number;      /*  0  field number */
  uint32_t offset;      /*  4  of its slot in the message or map entry; in a sparse message: unused, 0 */
  uint32_t type_no;     /*  8  type number of the sub-message or map entry; else 0 */
  uint32_t oneof;       /* 12  offset of the case word; 0: not in a oneof, or a sparse message */
  uint32_t stride;      /* 16  repeated, map: bytes an element (sparse messages: 4, elements are u32 offsets in the index) */
  uint16_t bit;         /* 20  presence bit; ZCRPC_NO_BIT none */
  uint8_t kind;         /* 22  ZCRPC_KIND_ */
  uint8_t shape;        /* 23  ZCRPC_SHAPE_ */
} zcrpc_slot;
ZCRPC_LAYOUT_CHECK(slot, sizeof(zcrpc_slot) == 24 && offsetof(zcrpc_slot, bit) == 20);

#endif
