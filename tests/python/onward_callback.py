"""The https callback of an application that goes on to another address, as hosted MCP clients do.

    onward_callback.py CERTIFICATE_AND_KEY ONWARD

Prints its port, and then the path of every request. `PORT` in ONWARD stands for that port."""
import http.server
import ssl
import sys

certificate, onward = sys.argv[1:]


class Callback(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, flush=True)
        goes_on = self.path.startswith("/callback?")
        body = b"<!doctype html><title>Landed</title><p>Welcome back."
        self.send_response(302 if goes_on else 200)
        if goes_on:
            self.send_header("Location", onward.replace("PORT", str(server.server_port)))
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
