"""Questions to a server in a bare loop over one httpx client.

Arguments: base_url, questions, requests at once. Prints the CPU seconds of asking, imports aside.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import httpx

base_url, count, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


async def main() -> int:
    free = asyncio.Semaphore(at_once)
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:

        async def ask(number: int) -> str:
            body = {
                "model": "m",
                "messages": [{"role": "user", "content": f"Question number {number}?"}],
                "max_tokens": 64,
                "temperature": 0.7,
                "seed": number,
            }
            async with free:
                reply = await client.post(f"{base_url}/chat/completions", json=body)
            reply.raise_for_status()
            return str(reply.json()["choices"][0]["message"]["content"])

        return len(await asyncio.gather(*map(ask, range(count))))


began = time.process_time()
answered = asyncio.run(main())
print(json.dumps({"cpu": time.process_time() - began, "answered": answered}))
