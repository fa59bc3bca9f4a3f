// The table of one instruction set: every kernel has its line here and in kernels.h.
#include "kernels.h"

namespace elman::ELMAN_ISA {

template <class Real>
size_t rnn_workspace(int64_t I, int64_t H);
template <class Real>
void rnn_forward(const RnnForward<Real>&);

#define ELMAN_NAME_OF(isa) #isa
#define ELMAN_NAME(isa) ELMAN_NAME_OF(isa)

extern const Table table;
const Table table = {
    .name = ELMAN_NAME(ELMAN_ISA),
    .rnn_workspace_f32 = rnn_workspace<float>,
    .rnn_workspace_f64 = rnn_workspace<double>,
    .rnn_forward_f32 = rnn_forward<float>,
    .rnn_forward_f64 = rnn_forward<double>,
};

}  // namespace elman::ELMAN_ISA
