/* Open nothing new after so many falling bars in a row, and say it in words: rulebox_message gives the text, and the
 * manifest has the one for hosts that do not ask. The same rule: examples/dsl/losing_streak.rule. */

#include "rulebox.h"

RULEBOX_MANIFEST({
  "abi": 1,
  "name": "losing_streak",
  "inputs": [{"name": "equity", "type": "num", "optional": false, "range": [1, 1e15]}],
  "params": [{"name": "n", "type": "int", "default": 3, "range": [2, 100]}],
  "outs": [{"name": "falls", "type": "num"}],
  "statements": [{
    "verdict": "breach",
    "action": "block",
    "message": [
      {"value": {"column": 0, "name": "falls", "type": "num"}},
      {"text": " falling bars in a row"}
    ]
  }],
  "uses_time": false,
  "clock": {"zone": "UTC", "day_start": 0},
  "lookback": 1,
  "state_bytes": 24,
  "memory_bytes": 0,
  "spans": [{"start": 0, "end": 0, "line": 1, "column": 1, "message": "the equity is missing or outside 1..1e15"}]
})

static double params[1];
RULEBOX_COLUMN(double, equity);
RULEBOX_COLUMN(uint8_t, verdicts);
RULEBOX_COLUMN(uint32_t, fired);
RULEBOX_COLUMN(double, falls);
RULEBOX_COLUMN(double, shown);

/* The equity of the bar before is 0 on the first. */
static struct {
  double before;
  double falls;
  int64_t faulted;
} state;

void RULEBOX_EXPORT(rulebox_abi_1)(void) {}

void RULEBOX_EXPORT(rulebox_reset)(void) {
  state.before = 0;
  state.falls = 0;
  state.faulted = 0;
}

int32_t RULEBOX_EXPORT(rulebox_init)(int32_t count) {
  if (count != 1 || !(params[0] >= 2 && params[0] <= 100 && params[0] == (int32_t)params[0])) return -1;
  rulebox_reset();
  return 0;
}

int32_t RULEBOX_EXPORT(rulebox_buffer)(int32_t kind, int32_t index, int32_t bytes) {
  if (index != 0) return 0;
  switch (kind) {
    case RULEBOX_PARAMS: return RULEBOX_ADDRESS(params, bytes);
    case RULEBOX_INPUT: return RULEBOX_ADDRESS(equity, bytes);
    case RULEBOX_VERDICTS: return RULEBOX_ADDRESS(verdicts, bytes);
    case RULEBOX_FIRED: return RULEBOX_ADDRESS(fired, bytes);
    case RULEBOX_OUT: return RULEBOX_ADDRESS(falls, bytes);
    case RULEBOX_MESSAGE_VALUE: return RULEBOX_ADDRESS(shown, bytes);
    default: return 0;
  }
}

int32_t RULEBOX_EXPORT(rulebox_eval)(int32_t rows) {
  if (rows < 1 || rows > RULEBOX_MAX_ROWS) return -1;
  for (int32_t row = 0; row < rows; row++) {
    /* Comparisons with what is missing are false. */
    if (state.faulted || !(equity[row] >= 1 && equity[row] <= 1e15)) {
      state.faulted = 1;
      verdicts[row] = RULEBOX_FAULT;
      fired[row] = 0;
      falls[row] = RULEBOX_MISSING;
      continue;
    }
    state.falls = rulebox_below(equity[row], state.before) ? state.falls + 1 : 0;
    state.before = equity[row];
    int over = rulebox_at_least(state.falls, params[0]);
    falls[row] = shown[row] = state.falls;
    fired[row] = over ? 1 : 0;
    verdicts[row] = over ? RULEBOX_BREACH : RULEBOX_OK;
  }
  return 0;
}

int64_t RULEBOX_EXPORT(rulebox_state)(void) {
  return RULEBOX_STATE(state);
}

/* A text lives until the next call. It must be made of the columns of the row, and change nothing: hosts ask for the
 * texts that they show, and for no others. */
static char text[64];
static int32_t length;

static void put(const char *words) {
  while (*words && length < (int32_t)sizeof text) text[length++] = *words++;
}

int64_t RULEBOX_EXPORT(rulebox_message)(int32_t row) {
  static const char *const names[] = {"no",  "one",   "two",   "three", "four", "five",  "six",
                                      "seven", "eight", "nine", "ten",   "eleven", "twelve"};
  if (row < 0 || row >= RULEBOX_MAX_ROWS || !(falls[row] >= 0 && falls[row] <= 12)) return 0;
  length = 0;
  put(names[(int32_t)falls[row]]);
  put(" falling bars in a row");
  return RULEBOX_TEXT(text, length);
}
