"""What most bridges do, for the benchmark to stand beside: aiomqtt, and an INSERT for every message."""

import asyncio
import json
import sys
from datetime import datetime
from urllib.parse import urlsplit

import aiomqtt
import psycopg

_TABLE = "CREATE TABLE naive (time timestamptz, topic text, occupied boolean, PRIMARY KEY (time, topic))"
_INSERT = "INSERT INTO naive VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


async def run(broker_url: str, database_url: str, count: int) -> None:
    """Store so many messages, then end."""
    address = urlsplit(broker_url)
    async with (
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection,
        aiomqtt.Client(address.hostname or "", address.port or 1883, protocol=aiomqtt.ProtocolVersion.V5) as client,
    ):
        await connection.execute(_TABLE)
        await client.subscribe("city/parking/#", qos=1)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        async for message in client.messages:
            body = json.loads(bytes(message.payload))
            row = (datetime.fromisoformat(body["time"]), str(message.topic), body["occupied"])
            await connection.execute(_INSERT, row)
            count -= 1
            if not count:
                return


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
