"""
elman's native kernels; csrc/kernels.h is their contract, elman.kernels.ops their only caller.
"""



def compiled() -> list[str]:
    """Instruction sets with kernels, plainest first; the index is the isa."""

def supported() -> list[str]:
    """Those of them that this machine can run."""

def rnn_workspace(isa: int, dtype: int, I: int, H: int) -> int:
    """Numbers that rnn_forward needs as scratch."""

def rnn_forward(isa: int, dtype: int, relu: bool, T: int, B: int, I: int, H: int, x: int, h_0: int, W_ih: int, W_hh: int, b_ih: int, b_hh: int, lengths: int, y: int, h_n: int, workspace: int, workspace_size: int) -> None:
    """RnnForward of csrc/kernels.h; 0 stands for null. Releases the GIL."""
