// Entry points of the Wasm module. Pointers are offsets in its memory; whoever calls lays out everything above __heap_base.

#include <stddef.h>

#include "kernel.h"
#include "math/operation.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

extern const quern_unit quern_unit_simd128;
extern const quern_math quern_math_simd128;

int32_t EXPORT(type_count)(void) { return quern_unit_simd128.type_count; }
// Zero-terminated.
const char *EXPORT(type_name)(int32_t type) { return quern_unit_simd128.types[type].name; }
int32_t EXPORT(block_size)(int32_t type) { return quern_unit_simd128.types[type].block_size; }
int32_t EXPORT(type_size)(int32_t type) { return quern_unit_simd128.types[type].type_size; }
int32_t EXPORT(writable)(int32_t type) { return quern_unit_simd128.types[type].quantize != NULL; }
int32_t EXPORT(requires_importance)(int32_t type) { return quern_unit_simd128.types[type].requires_importance; }

int32_t EXPORT(scratch_floats)(int32_t columns) { return (int32_t)quern_scratch_floats(columns); }

// The verdict; its index goes to *index.
int32_t EXPORT(quantize)(int32_t type, int32_t source_type, const uint8_t *source, uint8_t *target, int32_t rows, int32_t columns,
                         const float *importance, float *scratch, int32_t *index) {
  const quern_unit *unit = &quern_unit_simd128;
  quern_result result =
      unit->quantize_rows(&unit->types[type], &unit->types[source_type], source, target, rows, columns, importance, scratch);
  *index = (int32_t)result.index;
  return result.verdict;
}

void EXPORT(dequantize)(int32_t type, const uint8_t *source, float *target, int32_t blocks) {
  quern_unit_simd128.types[type].dequantize(source, target, blocks);
}

void EXPORT(measure)(int32_t type, int32_t source_type, const uint8_t *source, const uint8_t *quantized, int32_t rows,
                     int32_t columns, const float *importance, quern_row_error *target) {
  const quern_unit *unit = &quern_unit_simd128;
  unit->measure_rows(&unit->types[type], &unit->types[source_type], source, quantized, rows, columns, importance, target);
}

int32_t EXPORT(operation_count)(void) { return quern_math_simd128.count; }
// Zero-terminated.
const char *EXPORT(operation_name)(int32_t operation) { return quern_math_simd128.operations[operation].name; }

double EXPORT(operation_scratch)(int32_t operation, const double *numbers) {
  return (double)quern_math_simd128.operations[operation].scratch_bytes(numbers);
}

double EXPORT(operation_run)(int32_t operation, const double *numbers, void *const *arrays, uint8_t *scratch) {
  return quern_math_simd128.operations[operation].run(&(quern_call){numbers, arrays, scratch, quern_unit_simd128.types});
}
