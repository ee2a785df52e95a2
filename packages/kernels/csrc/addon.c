// The Node-API addon: describe(), quantize(...), dequantize(...), measure(...) and math(...) over typed arrays. Its only state is a scratch buffer per
// environment, so that every worker thread can load it. src/ reports wrong arguments to people; what is checked here keeps a
// mistake there from reaching memory.

#include <node_api.h>
#include <stdbool.h>
#include <stdlib.h>

#include "kernel.h"
#include "math/operation.h"

#if defined(__x86_64__)
extern const quern_unit quern_unit_baseline, quern_unit_avx2, quern_unit_avx512;
// Slowest first; what a processor supports is a head of this list.
static const quern_unit *const UNITS[] = {&quern_unit_baseline, &quern_unit_avx2, &quern_unit_avx512};
extern const quern_math quern_math_baseline, quern_math_avx2, quern_math_avx512;
static const quern_math *const MATH[] = {&quern_math_baseline, &quern_math_avx2, &quern_math_avx512};
static int32_t supported_units(void) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 1;
  bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl");
  return avx512 ? 3 : 2;
}
#else
extern const quern_unit quern_unit_neon;
static const quern_unit *const UNITS[] = {&quern_unit_neon};
extern const quern_math quern_math_neon;
static const quern_math *const MATH[] = {&quern_math_neon};
static int32_t supported_units(void) { return 1; }
#endif

typedef struct {
  float *floats;
  int64_t count;
} scratch_buffer;

static void free_scratch(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(((scratch_buffer *)data)->floats);
  free(data);
}

static float *scratch_of(napi_env env, int64_t count) {
  scratch_buffer *scratch;
  if (napi_get_instance_data(env, (void **)&scratch) != napi_ok) return NULL;
  if (scratch->count < count) {
    free(scratch->floats);
    scratch->floats = malloc((size_t)count * sizeof(float));
    scratch->count = scratch->floats ? count : 0;
  }
  return scratch->floats;
}

static napi_value fail(napi_env env, const char *message) {
  napi_throw_error(env, "KERNEL_ADDON", message);
  return NULL;
}

// ---- Arguments. Each reader clears *ok when the value is not what it must be.

static int32_t read_index(napi_env env, napi_value value, int32_t limit, bool *ok) {
  int32_t index = 0;
  if (napi_get_value_int32(env, value, &index) != napi_ok || index < 0 || index >= limit) *ok = false;
  return *ok ? index : 0;
}

// Up to 2^31 - 1, so that products of two counts stay in range.
static int64_t read_count(napi_env env, napi_value value, bool *ok) {
  int64_t count = 0;
  if (napi_get_value_int64(env, value, &count) != napi_ok || count < 0 || count > INT32_MAX) *ok = false;
  return *ok ? count : 0;
}

static void *read_array(napi_env env, napi_value value, napi_typedarray_type wanted, int64_t elements, bool *ok) {
  napi_typedarray_type type;
  size_t length = 0;
  void *data = NULL;
  napi_status status = napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL);
  if (status != napi_ok || type != wanted || (int64_t)length < elements) *ok = false;
  return data;
}

// Rows of a type, in whole blocks.
static uint8_t *read_matrix(napi_env env, napi_value value, const quern_type *type, int64_t rows, int64_t columns, bool *ok) {
  int64_t bytes = 0;
  if (columns % type->block_size != 0) *ok = false;
  if (__builtin_mul_overflow(rows * (columns / type->block_size), type->type_size, &bytes)) *ok = false;
  return read_array(env, value, napi_uint8_array, bytes, ok);
}

// ---- Results

static napi_value text(napi_env env, const char *string) {
  napi_value value = NULL;
  napi_create_string_utf8(env, string, NAPI_AUTO_LENGTH, &value);
  return value;
}

static void set_boolean(napi_env env, napi_value object, const char *key, bool boolean) {
  napi_value value = NULL;
  napi_get_boolean(env, boolean, &value);
  napi_set_named_property(env, object, key, value);
}

static void set_number(napi_env env, napi_value object, const char *key, int64_t number) {
  napi_value value = NULL;
  napi_create_int64(env, number, &value);
  napi_set_named_property(env, object, key, value);
}

// Nothing when all is well.
static napi_value fault(napi_env env, quern_result result) {
  if (result.verdict == QUERN_SOUND) return NULL;
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok) return fail(env, "quantize: no memory for the result");
  napi_set_named_property(env, object, "fault", text(env, result.verdict == QUERN_OVERFLOW ? "overflow" : "not-finite"));
  set_number(env, object, "index", result.index);
  return object;
}

// ---- Functions

// quantize(unit, type, sourceType, source: Uint8Array, target: Uint8Array, rows, columns, importance?: Float32Array):
//   undefined | { fault, index }
static napi_value quantize(napi_env env, napi_callback_info info) {
  napi_value arguments[8];
  size_t count = 8;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count < 7) return fail(env, "quantize: arguments");

  bool ok = true;
  const quern_unit *unit = UNITS[read_index(env, arguments[0], supported_units(), &ok)];
  const quern_type *type = &unit->types[read_index(env, arguments[1], unit->type_count, &ok)];
  const quern_type *source_type = &unit->types[read_index(env, arguments[2], unit->type_count, &ok)];
  int64_t rows = read_count(env, arguments[5], &ok);
  int64_t columns = read_count(env, arguments[6], &ok);
  const uint8_t *source = read_matrix(env, arguments[3], source_type, rows, columns, &ok);
  uint8_t *target = read_matrix(env, arguments[4], type, rows, columns, &ok);
  napi_valuetype kind = napi_undefined;
  if (count == 8 && napi_typeof(env, arguments[7], &kind) != napi_ok) ok = false;
  const float *importance = kind == napi_undefined ? NULL : read_array(env, arguments[7], napi_float32_array, columns, &ok);
  if (type->requires_importance && !importance) ok = false;
  if (!ok || !type->quantize) return fail(env, "quantize: arguments that do not fit together");

  float *scratch = scratch_of(env, quern_scratch_floats(columns));
  if (!scratch) return fail(env, "quantize: no memory for one row");
  return fault(env, unit->quantize_rows(type, source_type, source, target, rows, columns, importance, scratch));
}

// dequantize(unit, type, source: Uint8Array, target: Float32Array, rows, columns): undefined
static napi_value dequantize(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  size_t count = 6;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count < 6) return fail(env, "dequantize: arguments");

  bool ok = true;
  const quern_unit *unit = UNITS[read_index(env, arguments[0], supported_units(), &ok)];
  const quern_type *type = &unit->types[read_index(env, arguments[1], unit->type_count, &ok)];
  int64_t rows = read_count(env, arguments[4], &ok);
  int64_t columns = read_count(env, arguments[5], &ok);
  const uint8_t *source = read_matrix(env, arguments[2], type, rows, columns, &ok);
  float *target = read_array(env, arguments[3], napi_float32_array, rows * columns, &ok);
  if (!ok) return fail(env, "dequantize: arguments that do not fit together");

  type->dequantize(source, target, rows * (columns / type->block_size));
  return NULL;
}

// measure(unit, type, sourceType, source: Uint8Array, quantized: Uint8Array, rows, columns,
//   importance: Float32Array | undefined, target: Float64Array with a quern_row_error per row): undefined
static napi_value measure(napi_env env, napi_callback_info info) {
  napi_value arguments[9];
  size_t count = 9;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count < 9) return fail(env, "measure: arguments");

  bool ok = true;
  const quern_unit *unit = UNITS[read_index(env, arguments[0], supported_units(), &ok)];
  const quern_type *type = &unit->types[read_index(env, arguments[1], unit->type_count, &ok)];
  const quern_type *source_type = &unit->types[read_index(env, arguments[2], unit->type_count, &ok)];
  int64_t rows = read_count(env, arguments[5], &ok);
  int64_t columns = read_count(env, arguments[6], &ok);
  const uint8_t *source = read_matrix(env, arguments[3], source_type, rows, columns, &ok);
  const uint8_t *quantized = read_matrix(env, arguments[4], type, rows, columns, &ok);
  napi_valuetype kind = napi_undefined;
  if (napi_typeof(env, arguments[7], &kind) != napi_ok) ok = false;
  const float *importance = kind == napi_undefined ? NULL : read_array(env, arguments[7], napi_float32_array, columns, &ok);
  quern_row_error *target = read_array(env, arguments[8], napi_float64_array, rows * QUERN_ROW_FIGURES, &ok);
  if (!ok) return fail(env, "measure: arguments that do not fit together");

  unit->measure_rows(type, source_type, source, quantized, rows, columns, importance, target);
  return NULL;
}

// Any typed array of at least so many bytes, or undefined.
static void *read_bytes(napi_env env, napi_value value, double bytes, bool *ok) {
  static const uint8_t SIZES[] = {[napi_uint8_array] = 1, [napi_float32_array] = 4, [napi_float64_array] = 8};
  napi_valuetype kind;
  if (napi_typeof(env, value, &kind) == napi_ok && kind == napi_undefined) return NULL;
  napi_typedarray_type type;
  size_t length = 0;
  void *data = NULL;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL) != napi_ok) *ok = false;
  else if (type >= sizeof SIZES || (double)length * SIZES[type] < bytes) *ok = false;
  return data;
}

// math(unit, operation, numbers: Float64Array, arrays: (typed array | undefined)[], bytes: Float64Array): number. What numbers and
// arrays mean is up to the operation; the caller says how many bytes of each array it reaches.
static napi_value math(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t count = 5;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count < 5) return fail(env, "math: arguments");

  bool ok = true;
  int32_t unit = read_index(env, arguments[0], supported_units(), &ok);
  const quern_operation *operation = &MATH[unit]->operations[read_index(env, arguments[1], MATH[unit]->count, &ok)];
  const double *numbers = read_array(env, arguments[2], napi_float64_array, QUERN_MOST_NUMBERS, &ok);
  const double *bytes = read_array(env, arguments[4], napi_float64_array, QUERN_MOST_ARRAYS, &ok);
  uint32_t given = 0;
  if (napi_get_array_length(env, arguments[3], &given) != napi_ok || given > QUERN_MOST_ARRAYS) ok = false;
  if (!ok) return fail(env, "math: arguments that do not fit together");
  void *arrays[QUERN_MOST_ARRAYS] = {0};
  for (uint32_t i = 0; i < given; i++) {
    napi_value array;
    if (napi_get_element(env, arguments[3], i, &array) != napi_ok) ok = false;
    else arrays[i] = read_bytes(env, array, bytes[i], &ok);
  }
  if (!ok) return fail(env, "math: arrays that are too short");

  float *scratch = scratch_of(env, (operation->scratch_bytes(numbers) + 64) / (int64_t)sizeof(float));
  if (!scratch) return fail(env, "math: no memory to work in");
  uint8_t *aligned = (uint8_t *)(((uintptr_t)scratch + 63) / 64 * 64);
  double result = operation->run(&(quern_call){numbers, arrays, aligned, UNITS[unit]->types});
  napi_value value = NULL;
  napi_create_double(env, result, &value);
  return value;
}

// describe(): { isas: string[], operations: string[], types: { name, blockSize, typeSize, writable, requiresImportance }[] }; a position in one of these
// lists is the index that the other functions take.
static napi_value describe(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result, isas, types, operations;
  if (napi_create_object(env, &result) != napi_ok || napi_create_array(env, &isas) != napi_ok ||
      napi_create_array(env, &types) != napi_ok || napi_create_array(env, &operations) != napi_ok) {
    return NULL;
  }
  for (int32_t i = 0; i < supported_units(); i++) napi_set_element(env, isas, (uint32_t)i, text(env, UNITS[i]->isa));
  for (int32_t i = 0; i < UNITS[0]->type_count; i++) {
    const quern_type *type = &UNITS[0]->types[i];
    napi_value entry = NULL;
    napi_create_object(env, &entry);
    napi_set_named_property(env, entry, "name", text(env, type->name));
    set_number(env, entry, "blockSize", type->block_size);
    set_number(env, entry, "typeSize", type->type_size);
    set_boolean(env, entry, "writable", type->quantize != NULL);
    set_boolean(env, entry, "requiresImportance", type->requires_importance);
    napi_set_element(env, types, (uint32_t)i, entry);
  }
  for (int32_t i = 0; i < MATH[0]->count; i++) {
    napi_set_element(env, operations, (uint32_t)i, text(env, MATH[0]->operations[i].name));
  }
  napi_set_named_property(env, result, "isas", isas);
  napi_set_named_property(env, result, "operations", operations);
  napi_set_named_property(env, result, "types", types);
  return result;
}

NAPI_MODULE_INIT() {
  scratch_buffer *scratch = calloc(1, sizeof *scratch);
  if (!scratch || napi_set_instance_data(env, scratch, free_scratch, NULL) != napi_ok) {
    free(scratch);
    return fail(env, "cannot keep a scratch buffer");
  }
  const napi_property_descriptor functions[] = {
      {"describe", NULL, describe, NULL, NULL, NULL, napi_enumerable, NULL},
      {"quantize", NULL, quantize, NULL, NULL, NULL, napi_enumerable, NULL},
      {"dequantize", NULL, dequantize, NULL, NULL, NULL, napi_enumerable, NULL},
      {"measure", NULL, measure, NULL, NULL, NULL, napi_enumerable, NULL},
      {"math", NULL, math, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
  return exports;
}
