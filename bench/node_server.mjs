// @tus/server over @tus/file-store, as the bench starts it: node node_server.mjs PORT FOLDER
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [port, directory] = process.argv.slice(2);
const server = new Server({ path: "/files", datastore: new FileStore({ directory }) });
server.listen({ host: "127.0.0.1", port: Number(port) });
process.on("SIGTERM", () => process.exit(0)); // Node would end as if by a fault
