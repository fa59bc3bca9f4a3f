"""Signals are held until asked for, once; a second one is not; and none of this outlives the block."""

import os
import signal
import threading

import pytest

from elman.training.interrupt import held_interrupts

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_only_asks(number):
    with held_interrupts() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), number)
        assert interrupted()


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("second", BOTH)
def test_the_second_signal_acts_at_once(first, second):
    with held_interrupts() as interrupted:
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), second)
        assert interrupted()


@pytest.mark.parametrize("end", [None, RuntimeError])
def test_the_handlers_before_come_back_however_the_block_ends(end):
    def mine(number, frame):
        pass

    before = {number: signal.signal(number, mine) for number in BOTH}
    try:
        try:
            with held_interrupts():
                assert all(signal.getsignal(number) is not mine for number in BOTH)
                if end:
                    raise end
        except RuntimeError:
            pass
        assert all(signal.getsignal(number) is mine for number in BOTH)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_off_the_main_thread_it_does_nothing():
    found = []

    def work():
        with held_interrupts() as interrupted:
            found.append((interrupted(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, signal.getsignal(signal.SIGINT))]
