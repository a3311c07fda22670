// SPDX-License-Identifier: Apache-2.0
// Loaded before a sender (node --import): it may speak with this machine alone. Whatever would reach for
// another host is refused before it leaves, and written down in $DIALECTS_OUTSIDE, a line each.
import dns from 'node:dns';
import fs from 'node:fs';
import net from 'node:net';

const local = new Set(['127.0.0.1', '::1', 'localhost', undefined, null, '']);

function refuse(what, host) {
    fs.appendFileSync(process.env.DIALECTS_OUTSIDE, `${what} ${host}\n`);
    return Object.assign(new Error(`${what} ${host}: only this machine`), { code: 'EACCES' });
}

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
    const first = Array.isArray(args[0]) ? args[0][0] : args[0]; // net.connect hands on normalised arguments
    const host = typeof first === 'object' && first !== null ? first.host : args[1];
    if (typeof host === 'string' && !local.has(host)) {
        process.nextTick(() => this.destroy(refuse('connect', host)));
        return this;
    }
    return connect.apply(this, args);
};

const lookup = dns.lookup;
dns.lookup = function (host, ...more) {
    return local.has(host) ? lookup.call(dns, host, ...more) : more.at(-1)(refuse('lookup', host));
};
