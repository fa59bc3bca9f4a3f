"""
elman's native kernels; csrc/kernels.h is their contract, elman.kernels.ops their only caller.
"""



def compiled() -> list[str]:
    """Instruction sets with kernels, plainest first; the index is the isa."""

def supported() -> list[str]:
    """Those of them that this machine can run."""

def use_threads_of(GOMP_parallel: int, omp_get_thread_num: int, omp_get_num_threads: int) -> None:
    """The addresses of these in the libgomp that torch uses; 0: no threads."""

def forward_workspace(isa: int, cell: int, dtype: int, T: int, B: int, I: int, H: int, parts: int) -> int:
    """Numbers that forward needs as scratch."""

def backward_workspace(isa: int, cell: int, dtype: int, T: int, B: int, I: int, H: int, parts: int, members: int) -> int:
    """Numbers that backward needs as scratch."""

def forward(isa: int, cell: int, dtype: int, parts: int, members: int, T: int, B: int, I: int, H: int, x: int, h_0: int, c_0: int, W_ih: int, W_hh: int, b_ih: int, b_hh: int, lengths: int, reset: int, y: int, h_n: int, c_n: int, saved: int, c: int, packed: int, packed_size: int) -> None:
    """
    Forward of csrc/kernels.h, each part or member on a thread of its own; 0 stands for null. Releases the GIL.
    """

def backward(isa: int, cell: int, dtype: int, parts: int, members: int, T: int, B: int, I: int, H: int, x: int, h_0: int, c_0: int, W_ih: int, W_hh: int, lengths: int, reset: int, y: int, saved: int, c: int, dy: int, dx: int, dh: int, dc: int, dW_ih: int, dW_hh: int, of_W_ih: int, of_W_hh: int, of_b_ih: int, of_b_hh: int, packed: int, packed_size: int) -> None:
    """
    Backward of csrc/kernels.h, each part or member on a thread of its own; 0 stands for null. Releases the GIL.
    """

def variant_saved_numbers(cell: int, H: int, normed: bool) -> int:
    """Numbers that a variant saves of each step of a sequence."""

def variant_small_numbers(cell: int, H: int) -> int:
    """Numbers of dsmall that each part has."""

def variant_forward_workspace(isa: int, cell: int, dtype: int, T: int, B: int, I: int, H: int, R: int, parts: int, projected: bool, normed: bool) -> int:
    """Numbers that variant_forward needs as scratch."""

def variant_backward_workspace(isa: int, cell: int, dtype: int, T: int, B: int, I: int, H: int, R: int, parts: int, projected: bool, normed: bool) -> int:
    """Numbers that variant_backward needs as scratch."""

def variant_forward(isa: int, cell: int, dtype: int, parts: int, T: int, B: int, I: int, H: int, R: int, zoneout_h: float, zoneout_c: float, x: int, h_0: int, c_0: int, W_ih: int, W_hh: int, b_ih: int, b_hh: int, W_hr: int, peephole: int, norm_ih: int, norm_hh: int, norm_c: int, bias_c: int, mask: int, keep_h: int, keep_c: int, lengths: int, reset: int, y: int, h_n: int, c_n: int, saved: int, c: int, bars: int, packed: int, packed_size: int) -> None:
    """
    VariantForward of csrc/kernels.h, each part on a thread of its own; 0 stands for null. Releases the GIL.
    """

def variant_backward(isa: int, cell: int, dtype: int, parts: int, T: int, B: int, I: int, H: int, R: int, zoneout_h: float, zoneout_c: float, x: int, h_0: int, c_0: int, W_ih: int, W_hh: int, W_hr: int, peephole: int, norm_ih: int, norm_hh: int, norm_c: int, bias_c: int, mask: int, keep_h: int, keep_c: int, lengths: int, reset: int, y: int, saved: int, c: int, dy: int, dx: int, dh: int, dc: int, dW_ih: int, dW_hh: int, dW_hr: int, dsmall: int, squares: int, packed: int, packed_size: int) -> None:
    """VariantBackward of csrc/kernels.h, likewise. Releases the GIL."""

def scan_forward(isa: int, dtype: int, complex: bool, threads: int, T: int, B: int, H: int, a_step: int, a_row: int, a: int, b: int, h_0: int, lengths: int, reset: int, h: int, h_n: int) -> None:
    """
    Scan of csrc/kernels.h, where H and the steps of a count complex numbers once; 0 stands for null. Releases the GIL.
    """

def scan_backward(isa: int, dtype: int, complex: bool, threads: int, T: int, B: int, H: int, a_step: int, a_row: int, a: int, h: int, h_0: int, lengths: int, reset: int, dh: int, dh_n: int, da: int, db: int, dh_0: int) -> None:
    """ScanBackward of csrc/kernels.h, likewise. Releases the GIL."""

def gated_forward(isa: int, cell: int, dtype: int, threads: int, T: int, B: int, H: int, p: int, decay: int, h_0: int, lengths: int, reset: int, h: int, h_n: int) -> None:
    """GatedScan of csrc/kernels.h; 0 stands for null. Releases the GIL."""

def gated_backward(isa: int, cell: int, dtype: int, threads: int, T: int, B: int, H: int, p: int, decay: int, h: int, h_0: int, lengths: int, reset: int, dh: int, dh_n: int, dp: int, ddecay: int, dh_0: int, total: int) -> None:
    """GatedScanBackward of csrc/kernels.h, likewise. Releases the GIL."""

class Step:
    """
    A cell with its weights packed; elman.compiled.steps.Step says the rest.
    """

    def __init__(self, isa: int, cell: int, W_ih: object | None, W_hh: object | None, b_ih: object | None, b_hh: object | None) -> None: ...

    def __call__(self, x: object | None, state: object | None) -> None:
        """Moves the state one step on, in place. Holds the GIL."""

def reservoir_forward(isa: int, dtype: int, parts: int, members: int, T: int, B: int, I: int, N: int, leak: float, x: int, h_0: int, feedback: int, lengths: int, reset: int, starts: int, values: int, columns: int, units: int, places: int, W_in: int, b: int, y: int, h_n: int, states: int) -> None:
    """Reservoir of csrc/kernels.h; 0 stands for null. Releases the GIL."""
