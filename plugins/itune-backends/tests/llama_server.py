"""llama.cpp's own server on a free port of loopback, for as long as standard input is open.

``python llama_server.py MODEL.gguf TOKEN`` prints the address as one line when it is ready. Run in a process of its
own: what a C++ server does to its process is no test's business, and the end of the test ends it, whatever happens.
"""

from __future__ import annotations

import sys


def serve(model: str, token: str) -> None:
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.n_ctx, settings.n_parallel = 8192, 8
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1  # tests run beside each other
    settings.api_keys = [token]
    server = xllamacpp.Server(settings)  # returns when the model is loaded
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
