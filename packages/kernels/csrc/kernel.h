// What a type is to the rest of the kernels, and what one instruction set offers to the entry points.
#ifndef QUERN_KERNEL_H
#define QUERN_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

// Quantizes whole rows of finite floats: rows x columns of them, row-major; columns is a multiple of the type's block size.
// importance is NULL (unless the type requires it) or one finite weight >= 0 per column, shared by all rows. target has no
// alignment.
typedef void quern_quantize(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance);

// Reverses it for any number of whole blocks. source has no alignment.
typedef void quern_dequantize(const uint8_t *source, float *target, int64_t blocks);

// Where a block keeps 16-bit floats. They can overflow, though all weights are finite.
typedef struct {
  uint16_t exponent; // bits that are all ones in infinities and NaN
  int32_t count;
  int32_t offsets[2]; // bytes from the start of the block
} quern_halves;

typedef struct {
  const char *name;   // ggml's, in the spelling of GGUF tools: "Q4_K"
  int32_t block_size; // elements
  int32_t type_size;  // bytes of a block
  quern_quantize *quantize;
  quern_dequantize *dequantize;
  quern_halves halves;
  bool requires_importance; // importance is never NULL
} quern_type;

// Converts count elements to F32; source has no alignment.
typedef void quern_convert(const uint8_t *source, float *target, int64_t count);

typedef struct {
  const char *name; // as safetensors spells it
  int32_t size;     // bytes of an element
  bool is_float;    // elements are floats already: no need to convert those that are aligned
  quern_convert *convert;
} quern_source_type;

// Floats that quern_unit.quantize_rows needs as scratch for rows of this many columns: a row or its largest chunk.
#define QUERN_CHUNK 16384
static inline int64_t quern_scratch_floats(int64_t columns) { return columns > QUERN_CHUNK ? columns : QUERN_CHUNK; }

// What is wrong with weights.
typedef enum {
  QUERN_SOUND,
  QUERN_NOT_FINITE, // the source has a NaN or an infinity: the first is element `index`; target holds nothing of use
  QUERN_OVERFLOW,   // the source is finite, but target is not: its first such block begins with element `index`
} quern_verdict;

typedef struct {
  quern_verdict verdict;
  int64_t index; // row x columns + column
} quern_result;

// All kernels, compiled for one instruction set.
typedef struct {
  const char *isa;
  int32_t type_count;
  int32_t source_type_count;
  const quern_type *types;
  const quern_source_type *source_types;
  // Converts and quantizes. source and target have no alignment. All of target is written unless the source is not finite.
  quern_result (*quantize_rows)(const quern_type *type, const quern_source_type *source_type, const uint8_t *source,
                                uint8_t *target, int64_t rows, int64_t columns, const float *importance, float *scratch);
} quern_unit;

#endif
