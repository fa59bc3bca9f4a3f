"""ONNX Runtime's side: graphs of one RNN, GRU or LSTM operator, with buffers that are bound once."""

import os

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from worker import Numbers, Run, serve

# Which of torch's blocks stand where in ONNX's weights: it has z r n, and i o f g.
ORDER = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}


def session(cell: str, numbers: Numbers, T: int, B: int) -> onnxruntime.InferenceSession:
    """`x (T, B, I), h (1, B, H)` and for an LSTM `c` to `y (T, 1, B, H)` and the last states."""
    H, I = numbers["weight_hh"].shape[1], numbers["weight_ih"].shape[1]

    def blocks(name: str) -> np.ndarray:
        return np.concatenate([np.split(numbers[name], len(ORDER[cell]))[k] for k in ORDER[cell]])

    weights = {
        "W": blocks("weight_ih")[None],
        "R": blocks("weight_hh")[None],
        "b": np.concatenate([blocks("bias_ih"), blocks("bias_hh")])[None],
    }
    states = ["h", "c"] if cell == "lstm" else ["h"]
    extra = {"linear_before_reset": 1} if cell == "gru" else {}
    outputs = ["y", *(f"{s}_n" for s in states)]
    node = helper.make_node(cell.upper(), ["x", "W", "R", "b", "", *states], outputs, hidden_size=H, **extra)

    def value(name: str, *shape: int) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [node],
        cell,
        [value("x", T, B, I), *(value(s, 1, B, H) for s in states)],
        [value("y", T, 1, B, H), *(value(f"{s}_n", 1, B, H) for s in states)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.inter_op_num_threads = 1
    # Its threads spin while it works, which is fast, but not while others are measured.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def bind(
    session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]
) -> onnxruntime.IOBinding:
    binding = session.io_binding()
    binding.arrays = inputs, outputs  # it knows their addresses only; this keeps them
    for name, array in inputs.items():
        binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
    for name, array in outputs.items():
        binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
    return binding


def forward(numbers: Numbers, job: dict[str, str]) -> Run:
    x, (T, B, _), H = numbers["x"], numbers["x"].shape, numbers["weight_hh"].shape[1]
    states = ["h", "c"] if job["cell"] == "lstm" else ["h"]
    zeros, y = np.zeros((1, B, H), np.float32), np.empty((T, 1, B, H), np.float32)
    last = {f"{s}_n": np.empty_like(zeros) for s in states}
    net = session(job["cell"], numbers, T, B)
    binding = bind(net, {"x": x} | dict.fromkeys(states, zeros), {"y": y} | last)

    def run() -> list[np.ndarray]:
        net.run_with_iobinding(binding)
        return [y[:, 0]]

    return run


def stream(numbers: Numbers, job: dict[str, str]) -> Run:
    """Two bindings by turns, each reading the state that the other one has written."""
    net, H = session(job["cell"], numbers, 1, 1), numbers["weight_hh"].shape[1]
    states = ["h", "c"] if job["cell"] == "lstm" else ["h"]
    steps = [x[None, None] for x in numbers["x"]]
    x, y = np.empty((1, 1, numbers["x"].shape[1]), np.float32), np.empty((1, 1, 1, H), np.float32)
    here, there = ({s: np.zeros((1, 1, H), np.float32) for s in states} for _ in range(2))
    bindings = [
        bind(net, {"x": x} | before, {"y": y} | {f"{s}_n": after[s] for s in states})
        for before, after in ((here, there), (there, here))
    ]
    assert len(steps) % 2 == 0, "the last state is expected where the first one was"

    def run() -> list[np.ndarray]:
        for array in here.values():
            array[:] = 0
        for k, x_t in enumerate(steps):
            x[:] = x_t
            net.run_with_iobinding(bindings[k % 2])
        return [array[0] for array in here.values()]

    return run


if __name__ == "__main__":
    serve({"forward": forward, "stream": stream}, {"onnxruntime": onnxruntime.__version__})
