// All operations on matrices for one instruction set, as one translation unit, like kernels.c.

#include "kernel.h"
#include "math/attention.h"
#include "math/cholesky.h"
#include "math/compensate.h"
#include "math/descend.h"
#include "math/elementwise.h"
#include "math/encode-tiles.h"
#include "math/fit-tiles.h"
#include "math/gemm.h"
#include "math/norms.h"
#include "math/operation.h"
#include "math/parts.h"
#include "math/rope.h"
#include "math/search-scales.h"
#include "math/softmax.h"
#include "math/statistics.h"
#include "math/syrk.h"
#include "math/tile-residuals.h"

static const quern_operation OPERATIONS[] = {
    {"gemm", scratch_of_gemm, run_gemm},
    {"syrk", scratch_of_gemm, run_syrk},
    {"mirror", no_scratch, run_mirror},
    {"cholesky", scratch_of_factor, run_cholesky},
    {"choleskyOfInverse", scratch_of_factor, run_cholesky_of_inverse},
    {"invert", scratch_of_invert, run_invert},
    {"solve", scratch_of_factor, run_solve},
    {"rmsNorm", no_scratch, run_rms_norm},
    {"layerNorm", no_scratch, run_layer_norm},
    {"softmax", no_scratch, run_softmax},
    {"logSumExp", no_scratch, run_log_sum_exp},
    {"activate", no_scratch, run_activate},
    {"addScaled", no_scratch, run_add_scaled},
    {"addBias", no_scratch, run_add_bias},
    {"rowProducts", no_scratch, run_row_products},
    {"addScaledRows", no_scratch, run_add_scaled_rows},
    {"updateDifferences", no_scratch, run_update_differences},
    {"gatherColumns", no_scratch, run_gather_columns},
    {"rope", no_scratch, run_rope},
    {"columnStatistics", no_scratch, run_column_statistics},
    {"magnitudeHistogram", scratch_of_histogram, run_magnitude_histogram},
    {"encodeTiles", no_scratch, run_encode_tiles},
    {"decodeTiles", no_scratch, run_decode_tiles},
    {"tileRanges", no_scratch, run_tile_ranges},
    {"searchTiles", scratch_of_search, run_search_tiles},
    {"tileResiduals", no_scratch, run_tile_residuals},
    {"compensateColumns", scratch_of_compensate, run_compensate},
    {"descendColumns", no_scratch, run_descend},
    {"searchScales", scratch_of_search_scales, run_search_scales},
    {"attention", scratch_of_attention, run_attention},
};

#define CONCATENATE_(a, b) a##b
#define CONCATENATE(a, b) CONCATENATE_(a, b)

extern const quern_math CONCATENATE(quern_math_, QUERN_ISA);
const quern_math CONCATENATE(quern_math_, QUERN_ISA) = {
    .count = (int32_t)(sizeof OPERATIONS / sizeof OPERATIONS[0]),
    .operations = OPERATIONS,
};
