// What a type is to the rest of the kernels, and what one instruction set offers to the entry points.
#ifndef QUERN_KERNEL_H
#define QUERN_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

// Quantizes whole rows of finite floats: rows x columns of them, row-major; columns is a multiple of the type's block size.
// importance is NULL (unless the type requires it) or one finite weight >= 0 per column, shared by all rows. target has no
// alignment.
typedef void quern_quantize(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance);

// Reverses it for any number of whole blocks, or widens elements. source has no alignment.
typedef void quern_dequantize(const uint8_t *source, float *target, int64_t blocks);

// Reads the 16-bit float of a block.
typedef uint16_t quern_read_half(const uint8_t *block);

// Where a block keeps 16-bit floats, or E8M0 scales in the lower byte of 16 bits. They can overflow, though all weights are
// finite.
typedef struct {
  uint16_t exponent; // bits that are all ones in infinities and NaN: consecutive ones
  int32_t count;
  int32_t offsets[2];    // bytes from the start of the block
  quern_read_half *read; // instead of offsets, where a float is in several pieces
} quern_halves;

// Bytes of a block that hold codes: `codes`, little-endian, over and over, where the bits of `kept` are no codes.
typedef struct {
  int32_t offset, length; // bytes
  uint64_t codes, kept;
} quern_code_field;

// How to make a block show where its grid ends (ends.h): with these codes, four weights of every group have the values that follow
// each other at the two ends of the grid.
typedef struct {
  int32_t group; // weights that share a scale, a multiple of 8; 0 for elements, which have none
  int8_t at[4];  // in a group: where the lowest value is, the second, the last but one, the highest, for a positive scale
  int32_t field_count;
  quern_code_field fields[3];
} quern_ends;

// What quantization did to a row.
typedef struct {
  double squared_weights, squared_errors;   // sums
  double weighted_weights, weighted_errors; // the same with importance as factors; 0 without
  double largest_error;                     // of the differences as floats
  double clipped;                           // weights beyond the ends of their group's grid
  double vanished;                          // groups of zeros that were none
  double groups;
} quern_row_error;

#define QUERN_ROW_FIGURES ((int64_t)(sizeof(quern_row_error) / sizeof(double)))

// Weights may come in every type; those with a quantize function can be written.
typedef struct {
  const char *name;         // ggml's, in the spelling of GGUF tools: "Q4_K"; or that of safetensors
  int32_t block_size;       // elements: a power of two
  int32_t type_size;        // bytes of a block
  quern_quantize *quantize; // NULL where weights only come in it
  quern_dequantize *dequantize;
  quern_halves halves;
  quern_ends ends;
  bool is_float;            // elements are floats already: no need to convert those that are aligned
  bool requires_importance; // importance is never NULL
} quern_type;

// Floats that quern_unit.quantize_rows needs as scratch for rows of this many columns: a row or its largest chunk.
#define QUERN_CHUNK 65536
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
  const quern_type *types;
  // Converts and quantizes; columns is a multiple of both block sizes. source and target have no alignment. All of target is
  // written unless the source is not finite.
  quern_result (*quantize_rows)(const quern_type *type, const quern_type *source_type, const uint8_t *source, uint8_t *target,
                                int64_t rows, int64_t columns, const float *importance, float *scratch);
  // What quantizing did to each row. importance is NULL or one finite weight >= 0 per column.
  void (*measure_rows)(const quern_type *type, const quern_type *source_type, const uint8_t *source, const uint8_t *quantized,
                       int64_t rows, int64_t columns, const float *importance, quern_row_error *target);
} quern_unit;

#endif
