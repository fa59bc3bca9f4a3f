// The table of one instruction set: every cell has its line here and in kernels.h.
#include "kernels.h"

namespace elman::ELMAN_ISA {

extern const Kernels<float> rnn_tanh_f32, rnn_relu_f32, lstm_f32, gru_f32;
extern const Kernels<double> rnn_tanh_f64, rnn_relu_f64, lstm_f64, gru_f64;
extern const Variants<float> rnn_tanh_variant_f32, rnn_relu_variant_f32, lstm_variant_f32, gru_variant_f32;
extern const Variants<double> rnn_tanh_variant_f64, rnn_relu_variant_f64, lstm_variant_f64, gru_variant_f64;
extern const ScanKernels<float> scan_f32, scan_c64;
extern const ScanKernels<double> scan_f64, scan_c128;
extern const GatedKernels<float> mingru_f32, mingru_positive_f32, minlstm_f32, minlstm_positive_f32, rglru_f32;
extern const GatedKernels<double> mingru_f64, mingru_positive_f64, minlstm_f64, minlstm_positive_f64, rglru_f64;
void reservoir(const Reservoir<float>&, int64_t begin, int64_t end, Member);
void reservoir(const Reservoir<double>&, int64_t begin, int64_t end, Member);

#define ELMAN_NAME_OF(isa) #isa
#define ELMAN_NAME(isa) ELMAN_NAME_OF(isa)

extern const Table table;
const Table table = {
    .name = ELMAN_NAME(ELMAN_ISA),
    .f32 = {&rnn_tanh_f32, &rnn_relu_f32, &lstm_f32, &gru_f32},
    .f64 = {&rnn_tanh_f64, &rnn_relu_f64, &lstm_f64, &gru_f64},
    .variant_f32 = {&rnn_tanh_variant_f32, &rnn_relu_variant_f32, &lstm_variant_f32, &gru_variant_f32},
    .variant_f64 = {&rnn_tanh_variant_f64, &rnn_relu_variant_f64, &lstm_variant_f64, &gru_variant_f64},
    .scan_f32 = {&scan_f32, &scan_c64},
    .scan_f64 = {&scan_f64, &scan_c128},
    .gated_f32 = {&mingru_f32, &mingru_positive_f32, &minlstm_f32, &minlstm_positive_f32, &rglru_f32},
    .gated_f64 = {&mingru_f64, &mingru_positive_f64, &minlstm_f64, &minlstm_positive_f64, &rglru_f64},
    .reservoir_f32 = reservoir,
    .reservoir_f64 = reservoir,
};

}  // namespace elman::ELMAN_ISA
