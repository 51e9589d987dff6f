"""A jobs process that does what the key of a request says, and notes in a file what it was asked for."""

import json
import os
import pickle
import sys
import time


def main() -> None:
    """Answer until nothing more comes."""
    pickle.load(sys.stdin.buffer)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        key = request["key"].partition(" ")[0]
        with open(sys.argv[1], "a") as file:
            file.write(f"{os.getpid()} {request['kind']} {request['key']}\n")
        if key == "die":
            os._exit(7)
        if key == "hang":
            time.sleep(60)
        answer = {"failed": "no luck"} if key == "fail" else {"result": {"key": request["key"], **request["data"]}}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
