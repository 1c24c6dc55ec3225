/*
 * Rules of Rulebox in C: the module ABI, version 1.
 *
 *   clang --target=wasm32-unknown-unknown -mcpu=mvp -O2 -nostdlib -ffreestanding -fno-builtin -Iguest-sdk/c \
 *         -Wl,--no-entry -Wl,-z,stack-size=16384 -o rule.wasm rule.c
 *
 * -mcpu=mvp turns off what Rulebox has off (bulk memory, multi-value, reference types, SIMD). There is no libc: a rule
 * is arithmetic over columns. If the linker misses memcpy or memset, which clang makes of loops and of assignments of
 * structs, define them in the rule.
 *
 * A rule defines RULEBOX_MANIFEST and the functions at the end of this file, each with RULEBOX_EXPORT; see
 * examples/c. The manifest says what the buffers are: as many inputs, params, outs and statements, in that order. An
 * upload tries whether they are there; that they hold what their names say, nobody can try.
 */
#ifndef RULEBOX_H
#define RULEBOX_H

#include <stdint.h>

/* A function that the host calls. */
#define RULEBOX_EXPORT(name) __attribute__((export_name(#name), visibility("default"))) name

/* The most bars of a call: columns need no more cells. */
#define RULEBOX_MAX_ROWS 4096

/* Kinds of buffers. Columns have one cell a bar. */
enum rulebox_kind {
  RULEBOX_PARAMS = 0,        /* double, one each in the order of the manifest; bools are 0 or 1 */
  RULEBOX_INPUT = 1,         /* double; NaN is missing; bools are 0 or 1 */
  RULEBOX_TIME = 2,          /* int64_t, milliseconds since 1970; RULEBOX_TIME_MISSING if there is none */
  RULEBOX_LOCAL_DAY = 3,     /* int32_t, days since 1970-01-01 of the trading day */
  RULEBOX_MINUTE_OF_DAY = 4, /* int32_t, 0 to 1439 */
  RULEBOX_WEEKDAY = 5,       /* int32_t, 1 (Monday) to 7 */
  RULEBOX_VERDICTS = 6,      /* uint8_t, see rulebox_verdict */
  RULEBOX_FIRED = 7,         /* uint32_t, bit i is statement i; of a fault, an index into the manifest's spans */
  RULEBOX_OUT = 8,           /* double; NaN is missing */
  RULEBOX_MESSAGE_VALUE = 9, /* double, one column a value of the manifest's messages */
  RULEBOX_KEEP = 10          /* double, 0 to 1: the fraction that a `reduce` keeps */
};

/* What a rule says of a bar. After a fault, every later bar is one. */
enum rulebox_verdict { RULEBOX_OK = 0, RULEBOX_WARN = 1, RULEBOX_BREACH = 2, RULEBOX_FAULT = 3 };

#define RULEBOX_TIME_MISSING INT64_MIN

/* What is missing. */
#define RULEBOX_MISSING __builtin_nan("")

/* Whether a number is one: neither missing nor infinite. */
static inline int rulebox_is_finite(double x) {
  return x - x == 0.0;
}

/* Comparison as the rule language has it: numbers that differ by 1e-12 of the larger (or of 1) are equal. */
static inline int rulebox_equal(double a, double b) {
  double scale = 1.0, difference = __builtin_fabs(a - b);
  if (__builtin_fabs(a) > scale) scale = __builtin_fabs(a);
  if (__builtin_fabs(b) > scale) scale = __builtin_fabs(b);
  return difference <= 1e-12 * scale;
}

static inline int rulebox_above(double a, double b) {
  return a > b && !rulebox_equal(a, b);
}

static inline int rulebox_below(double a, double b) {
  return rulebox_above(b, a);
}

static inline int rulebox_at_least(double a, double b) {
  return a > b || rulebox_equal(a, b);
}

static inline int rulebox_at_most(double a, double b) {
  return rulebox_at_least(b, a);
}

/* What rulebox_buffer answers: the address of `column`, or -1 (no address) if more bytes are asked for than it has. */
#define RULEBOX_ADDRESS(column, bytes) \
  ((uint32_t)(bytes) <= sizeof(column) ? (int32_t)(uintptr_t)(column) : -1)

/* What rulebox_state answers: the address and the length of all that resumes a run. It must hold no pointers. */
#define RULEBOX_STATE(state) ((int64_t)((uint64_t)(uintptr_t)&(state) << 32 | sizeof(state)))

/* What rulebox_message answers: the address and the length of UTF-8 text. A length of 0 stands for the text of the
 * manifest's statements. */
#define RULEBOX_TEXT(text, bytes) ((int64_t)((uint64_t)(uintptr_t)(text) << 32 | (uint32_t)(bytes)))

/* A column, aligned as the ABI wants it. Static memory is zero, and costs no bytes of the module. */
#define RULEBOX_COLUMN(type, name) static _Alignas(8) type name[RULEBOX_MAX_ROWS]

/* The manifest, as JSON that is written as it is: RULEBOX_MANIFEST({"abi": 1, ...}). Goes into the custom section
 * `rulebox.manifest`. Texts with characters other than ASCII need \u escapes. */
#define RULEBOX_MANIFEST(...) RULEBOX_SECTION_(RULEBOX_QUOTED_(#__VA_ARGS__))
#define RULEBOX_QUOTED_(text) RULEBOX_QUOTED_2_(text)
#define RULEBOX_QUOTED_2_(text) #text
#define RULEBOX_SECTION_(text) \
  __asm__(".section .custom_section.rulebox.manifest,\"\",@\n.ascii " text "\n.text\n");

/* What every module exports, beside its memory. */
void rulebox_abi_1(void);                                            /* the mark of this ABI */
int32_t rulebox_init(int32_t params);                                /* 0 takes the params in the buffer; < 0 refuses */
int32_t rulebox_buffer(int32_t kind, int32_t index, int32_t bytes);  /* an address; 0: not used */
void rulebox_reset(void);                                            /* back to bar 0 */
int32_t rulebox_eval(int32_t rows);                                  /* 0, or < 0: failed */
int64_t rulebox_state(void);                                         /* optional: without it, no sessions */
int64_t rulebox_message(int32_t row);                                /* optional: text of a flagged row of the last call */

#endif
