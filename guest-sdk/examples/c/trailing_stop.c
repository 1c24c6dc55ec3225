/*
 * Leave a position whose price falls too far under the highest of the last bars. The same rule:
 * examples/dsl/trailing_stop.rule.
 */

#include "rulebox.h"

RULEBOX_MANIFEST({
  "abi": 1,
  "name": "trailing_stop",
  "inputs": [
    {"name": "close", "type": "num", "optional": false, "range": [0.00001, 1e9]},
    {"name": "position", "type": "num", "optional": false, "range": [-1e9, 1e9]}
  ],
  "params": [
    {"name": "n", "type": "int", "default": 20, "range": [2, 250]},
    {"name": "distance", "type": "num", "default": 0.08, "range": [0.001, 0.5]}
  ],
  "outs": [{"name": "stop", "type": "num"}],
  "statements": [{
    "verdict": "breach",
    "action": "liquidate",
    "message": [
      {"value": {"column": 0, "name": "close", "type": "num", "format": {"decimals": 4}}},
      {"text": " is under the stop at "},
      {"value": {"column": 1, "name": "stop", "type": "num", "format": {"decimals": 4}}}
    ]
  }],
  "uses_time": false,
  "clock": {"zone": "UTC", "day_start": 0},
  "lookback": 249,
  "state_bytes": 2016,
  "memory_bytes": 0,
  "spans": [
    {"start": 0, "end": 0, "line": 1, "column": 1, "message": "the close is missing or outside 0.00001..1e9"},
    {"start": 0, "end": 0, "line": 1, "column": 1, "message": "the position is missing or outside -1e9..1e9"}
  ]
})

enum { MOST = 250 };

static double params[2];
RULEBOX_COLUMN(double, closes);
RULEBOX_COLUMN(double, positions);
RULEBOX_COLUMN(uint8_t, verdicts);
RULEBOX_COLUMN(uint32_t, fired);
RULEBOX_COLUMN(double, stops);
RULEBOX_COLUMN(double, close_values);
RULEBOX_COLUMN(double, stop_values);

/* The last closes, the newest at (pushed - 1) % MOST; and 0, or the fault that latches and 1. */
static struct {
  double window[MOST];
  uint64_t pushed;
  uint64_t fault;
} state;

void RULEBOX_EXPORT(rulebox_abi_1)(void) {}

void RULEBOX_EXPORT(rulebox_reset)(void) {
  for (int i = 0; i < MOST; i++) state.window[i] = 0;
  state.pushed = 0;
  state.fault = 0;
}

int32_t RULEBOX_EXPORT(rulebox_init)(int32_t count) {
  if (count != 2) return -1;
  if (!(params[0] >= 2 && params[0] <= MOST && params[0] == (int32_t)params[0])) return -1;
  if (!(params[1] >= 0.001 && params[1] <= 0.5)) return -1;
  rulebox_reset();
  return 0;
}

int32_t RULEBOX_EXPORT(rulebox_buffer)(int32_t kind, int32_t index, int32_t bytes) {
  if (kind == RULEBOX_INPUT && index == 1) return RULEBOX_ADDRESS(positions, bytes);
  if (kind == RULEBOX_MESSAGE_VALUE && index == 1) return RULEBOX_ADDRESS(stop_values, bytes);
  if (index != 0) return 0;
  switch (kind) {
    case RULEBOX_PARAMS: return RULEBOX_ADDRESS(params, bytes);
    case RULEBOX_INPUT: return RULEBOX_ADDRESS(closes, bytes);
    case RULEBOX_VERDICTS: return RULEBOX_ADDRESS(verdicts, bytes);
    case RULEBOX_FIRED: return RULEBOX_ADDRESS(fired, bytes);
    case RULEBOX_OUT: return RULEBOX_ADDRESS(stops, bytes);
    case RULEBOX_MESSAGE_VALUE: return RULEBOX_ADDRESS(close_values, bytes);
    default: return 0;
  }
}

/* The highest of the last n closes, or of all while there are fewer. */
static double highest(uint32_t n) {
  uint32_t has = state.pushed < n ? (uint32_t)state.pushed : n;
  uint32_t at = (uint32_t)(state.pushed % MOST);
  double top = 0;
  for (uint32_t back = 0; back < has; back++) {
    at = at == 0 ? MOST - 1 : at - 1;
    if (state.window[at] > top) top = state.window[at];
  }
  return top;
}

int32_t RULEBOX_EXPORT(rulebox_eval)(int32_t rows) {
  if (rows < 1 || rows > RULEBOX_MAX_ROWS) return -1;
  for (int32_t row = 0; row < rows; row++) {
    double close = closes[row], position = positions[row];
    /* Comparisons with what is missing are false. */
    if (!state.fault && !(close >= 0.00001 && close <= 1e9)) state.fault = 1;
    if (!state.fault && !(position >= -1e9 && position <= 1e9)) state.fault = 2;
    if (state.fault) {
      verdicts[row] = RULEBOX_FAULT;
      fired[row] = (uint32_t)state.fault - 1;
      stops[row] = RULEBOX_MISSING;
      continue;
    }
    state.window[state.pushed % MOST] = close;
    state.pushed++;
    double stop = highest((uint32_t)params[0]) * (1 - params[1]);
    int hit = rulebox_above(position, 0) && rulebox_below(close, stop);
    stops[row] = stop_values[row] = stop;
    close_values[row] = close;
    fired[row] = hit ? 1 : 0;
    verdicts[row] = hit ? RULEBOX_BREACH : RULEBOX_OK;
  }
  return 0;
}

int64_t RULEBOX_EXPORT(rulebox_state)(void) {
  return RULEBOX_STATE(state);
}
