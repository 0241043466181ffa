"""The runner's loops go on whatever happens in them."""

import asyncio

from hefu_flows.runner import _every


def test_a_loop_outlives_what_nobody_foresaw() -> None:
    """A full disk under the runner's own file, once: the next turn works again."""
    turns = []

    async def deed() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise OSError(28, "No space left on device")

    async def watch() -> None:
        loop = asyncio.create_task(_every(0.0, deed))
        while len(turns) < 3 and not loop.done():
            await asyncio.sleep(0.01)
        loop.cancel()

    asyncio.run(asyncio.wait_for(watch(), 20))
    assert len(turns) >= 3
