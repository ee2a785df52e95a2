// Entry points of the Wasm module. Pointers are offsets in its memory; whoever calls lays out everything above __heap_base.

#include "kernel.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

extern const quern_unit quern_unit_simd128;

int32_t EXPORT(type_count)(void) { return quern_unit_simd128.type_count; }
// Zero-terminated.
const char *EXPORT(type_name)(int32_t type) { return quern_unit_simd128.types[type].name; }
int32_t EXPORT(block_size)(int32_t type) { return quern_unit_simd128.types[type].block_size; }
int32_t EXPORT(type_size)(int32_t type) { return quern_unit_simd128.types[type].type_size; }
int32_t EXPORT(requires_importance)(int32_t type) { return quern_unit_simd128.types[type].requires_importance; }

int32_t EXPORT(source_type_count)(void) { return quern_unit_simd128.source_type_count; }
const char *EXPORT(source_type_name)(int32_t source_type) { return quern_unit_simd128.source_types[source_type].name; }
int32_t EXPORT(source_type_size)(int32_t source_type) { return quern_unit_simd128.source_types[source_type].size; }

int32_t EXPORT(scratch_floats)(int32_t columns) { return (int32_t)quern_scratch_floats(columns); }

// The verdict; its index goes to *index.
int32_t EXPORT(quantize)(int32_t type, int32_t source_type, const uint8_t *source, uint8_t *target, int32_t rows, int32_t columns,
                         const float *importance, float *scratch, int32_t *index) {
  const quern_unit *unit = &quern_unit_simd128;
  quern_result result = unit->quantize_rows(&unit->types[type], &unit->source_types[source_type], source, target, rows, columns,
                                            importance, scratch);
  *index = (int32_t)result.index;
  return result.verdict;
}

void EXPORT(dequantize)(int32_t type, const uint8_t *source, float *target, int32_t blocks) {
  quern_unit_simd128.types[type].dequantize(source, target, blocks);
}
