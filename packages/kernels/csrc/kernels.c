// All kernels for one instruction set, as one translation unit: build.mjs compiles it once per instruction set, with QUERN_ISA
// defined as its name. Everything is static except the table at the end, so that the copies can be linked together.

#include "convert.h"
#include "driver.h"
#include "kernel.h"
#include "measure.h"

#include "types/bf16.c"
#include "types/f16.c"
#include "types/f32.c"
#include "types/iq1-m.c"
#include "types/iq1-s.c"
#include "types/iq2-s.c"
#include "types/iq2-xs.c"
#include "types/iq2-xxs.c"
#include "types/iq4-nl.c"
#include "types/iq4-xs.c"
#include "types/mxfp4.c"
#include "types/nvfp4.c"
#include "types/iq3-s.c"
#include "types/iq3-xxs.c"
#include "types/q1-0.c"
#include "types/q2-0.c"
#include "types/q2-k.c"
#include "types/q3-k.c"
#include "types/q4-0.c"
#include "types/q4-1.c"
#include "types/q4-k.c"
#include "types/q5-0.c"
#include "types/q5-1.c"
#include "types/q5-k.c"
#include "types/q6-k.c"
#include "types/q8-0.c"
#include "types/tq1-0.c"
#include "types/tq2-0.c"

// Adding a type: include its file above and give it a row here. The last columns are where its blocks have 16-bit floats, and how
// they show the ends of their grids; .requires_importance follows where ggml_quantize_requires_imatrix (ggml.c of llama.cpp v0.5.0) says so.
static const quern_type TYPES[] = {
    {"F64", 1, 8, NULL, convert_f64, {0}},
    {"F32", 1, 4, quantize_f32, dequantize_f32, {0}, .is_float = true},
    {"F16", 1, 2, quantize_f16, dequantize_f16, {F16_EXPONENT, 1, {0}}},
    {"BF16", 1, 2, quantize_bf16, dequantize_bf16, {BF16_EXPONENT, 1, {0}}},
    {"F8_E4M3", 1, 1, NULL, convert_f8_e4m3, {0}},
    {"F8_E5M2", 1, 1, NULL, convert_f8_e5m2, {0}},
    {"Q4_0", BLOCK, Q4_0_SIZE, quantize_q4_0, dequantize_q4_0, {F16_EXPONENT, 1, {0}},
     {BLOCK, {0, 1, 2, 3}, 1, {{2, 16, NIBBLES, 0}}}},
    {"Q4_1", BLOCK, Q4_1_SIZE, quantize_q4_1, dequantize_q4_1, {F16_EXPONENT, 2, {0, 2}},
     {BLOCK, {0, 1, 2, 3}, 1, {{4, 16, NIBBLES, 0}}}},
    {"Q5_0", BLOCK, Q5_0_SIZE, quantize_q5_0, dequantize_q5_0, {F16_EXPONENT, 1, {0}},
     {BLOCK, {0, 1, 2, 3}, 2, {{2, 4, EVERY_1(0xcc), 0}, {6, 16, NIBBLES, 0}}}},
    {"Q5_1", BLOCK, Q5_1_SIZE, quantize_q5_1, dequantize_q5_1, {F16_EXPONENT, 2, {0, 2}},
     {BLOCK, {0, 1, 2, 3}, 2, {{4, 4, EVERY_1(0xcc), 0}, {8, 16, NIBBLES, 0}}}},
    {"Q8_0", BLOCK, Q8_0_SIZE, quantize_q8_0, dequantize_q8_0, {F16_EXPONENT, 1, {0}},
     {BLOCK, {0, 1, 2, 3}, 1, {{2, 32, EVERY_4(0x7f7e8180u), 0}}}},
    {"Q1_0", Q1_0_BLOCK, Q1_0_SIZE, quantize_q1_0, dequantize_q1_0, {F16_EXPONENT, 1, {0}},
     {Q1_0_BLOCK, {0, 1, 2, 3}, 1, {{2, 16, EVERY_1(0xaa), 0}}}},
    {"Q2_0", Q2_0_BLOCK, Q2_0_SIZE, quantize_q2_0, dequantize_q2_0, {F16_EXPONENT, 1, {0}},
     {Q2_0_BLOCK, {0, 1, 2, 3}, 1, {{2, 16, EVERY_1(0xe4), 0}}}},
    {"TQ1_0", TERNARY_BLOCK, TQ1_0_SIZE, quantize_tq1_0, dequantize_tq1_0, {F16_EXPONENT, 1, {52}},
     {TERNARY_BLOCK, {0, 1, 2, 3}, 1, {{0, 52, EVERY_4(0xff808000u), 0}}}},
    {"TQ2_0", TERNARY_BLOCK, TQ2_0_SIZE, quantize_tq2_0, dequantize_tq2_0, {F16_EXPONENT, 1, {64}},
     {TERNARY_BLOCK, {0, 1, 2, 3}, 1, {{0, 64, TWO_BITS, 0}}}},
    {"Q2_K", SUPER_BLOCK, Q2_K_SIZE, quantize_q2_k, dequantize_q2_k, {F16_EXPONENT, 2, {80, 82}},
     {16, {0, 1, 2, 3}, 1, {{16, 64, TWO_BITS, 0}}}},
    {"Q3_K", SUPER_BLOCK, Q3_K_SIZE, quantize_q3_k, dequantize_q3_k, {F16_EXPONENT, 1, {108}},
     {16, {0, 1, 2, 3}, 2, {{0, 32, UPPER_BITS, 0}, {32, 64, TWO_BITS, 0}}}},
    {"Q4_K", SUPER_BLOCK, Q4_K_SIZE, quantize_q4_k, dequantize_q4_k, {F16_EXPONENT, 2, {0, 2}},
     {32, {0, 1, 2, 3}, 1, {{16, 128, NIBBLES, 0}}}},
    {"Q5_K", SUPER_BLOCK, Q5_K_SIZE, quantize_q5_k, dequantize_q5_k, {F16_EXPONENT, 2, {0, 2}},
     {32, {0, 1, 2, 3}, 2, {{16, 32, UPPER_BITS, 0}, {48, 128, NIBBLES, 0}}}},
    {"Q6_K", SUPER_BLOCK, Q6_K_SIZE, quantize_q6_k, dequantize_q6_k, {F16_EXPONENT, 1, {208}},
     {16, {0, 1, 2, 3}, 2, {{0, 128, NIBBLES, 0}, {128, 64, UPPER_BITS, 0}}}},
    {"IQ1_S", SUPER_BLOCK, IQ1_S_SIZE, quantize_iq1_s, dequantize_iq1_s, {F16_EXPONENT, 1, {0}},
     {32, {0, 1, 2, 3}, 2, {{2, 32, EVERY_1(0x2d), 0}, {34, 16, 0, EVERY_4(0xf000f000u)}}}, .requires_importance = true},
    {"IQ1_M", SUPER_BLOCK, IQ1_M_SIZE, quantize_iq1_m, dequantize_iq1_m, {F16_EXPONENT, .read = iq1_m_scale},
     {8, {0, 1, 2, 3}, 2, {{0, 32, EVERY_1(0x2d), 0}, {32, 16, 0, EVERY_1(0x88)}}}},
    {"IQ2_XXS", SUPER_BLOCK, IQ2_XXS_SIZE, quantize_iq2_xxs, dequantize_iq2_xxs, {F16_EXPONENT, 1, {0}},
     {32, {0, 2, 3, 1}, 1, {{2, 64, 0x00a1428555555555u, 0xf000000000000000u}}}, .requires_importance = true},
    {"IQ2_XS", SUPER_BLOCK, IQ2_XS_SIZE, quantize_iq2_xs, dequantize_iq2_xs, {F16_EXPONENT, 1, {0}},
     {16, {0, 2, 3, 1}, 1, {{2, 64, EVERY_4(0x0bbc0bbcu), 0}}}, .requires_importance = true},
    {"IQ2_S", SUPER_BLOCK, IQ2_S_SIZE, quantize_iq2_s, dequantize_iq2_s, {F16_EXPONENT, 1, {0}},
     {16, {0, 2, 3, 1}, 3, {{2, 32, EVERY_1(0xeb), 0}, {34, 32, EVERY_1(0x05), 0}, {66, 8, EVERY_1(0xaa), 0}}}},
    {"IQ4_NL", BLOCK, IQ4_NL_SIZE, quantize_iq4_nl, dequantize_iq4_nl, {F16_EXPONENT, 1, {0}},
     {BLOCK, {0, 1, 2, 3}, 1, {{2, 16, NIBBLES, 0}}}},
    {"IQ4_XS", SUPER_BLOCK, IQ4_XS_SIZE, quantize_iq4_xs, dequantize_iq4_xs, {F16_EXPONENT, 1, {0}},
     {32, {0, 1, 2, 3}, 1, {{8, 128, NIBBLES, 0}}}},
    {"MXFP4", BLOCK, MXFP4_SIZE, quantize_mxfp4, dequantize_mxfp4, {E8M0_EXPONENT, 1, {0}},
     {BLOCK, {0, 1, 2, 3}, 1, {{1, 16, EVERY_4(0x7766eeffu), 0}}}},
    {"NVFP4", NVFP4_BLOCK, NVFP4_SIZE, quantize_nvfp4, dequantize_nvfp4, {0},
     {16, {0, 1, 2, 3}, 1, {{4, 32, EVERY_4(0x7766eeffu), 0}}}},
    {"IQ3_XXS", SUPER_BLOCK, IQ3_XXS_SIZE, quantize_iq3_xxs, dequantize_iq3_xxs, {F16_EXPONENT, 1, {0}},
     {32, {0, 1, 5, 4}, 2, {{2, 64, EVERY_1(0x72), 0}, {66, 32, EVERY_4(0x0060c183u), EVERY_4(0xf0000000u)}}}},
    {"IQ3_S", SUPER_BLOCK, IQ3_S_SIZE, quantize_iq3_s, dequantize_iq3_s, {F16_EXPONENT, 1, {0}},
     {32, {0, 1, 5, 4}, 3, {{2, 64, EVERY_1(0x46), 0}, {66, 8, 0, 0}, {74, 32, EVERY_1(0x03), 0}}}},
};

#define CONCATENATE_(a, b) a##b
#define CONCATENATE(a, b) CONCATENATE_(a, b)
#define STRING_(a) #a
#define STRING(a) STRING_(a)
#define COUNT(array) ((int32_t)(sizeof(array) / sizeof(array)[0]))

extern const quern_unit CONCATENATE(quern_unit_, QUERN_ISA);
const quern_unit CONCATENATE(quern_unit_, QUERN_ISA) = {
    .isa = STRING(QUERN_ISA),
    .type_count = COUNT(TYPES),
    .types = TYPES,
    .quantize_rows = quantize_rows,
    .measure_rows = measure_rows,
};
