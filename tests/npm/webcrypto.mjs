// Loaded before every script: Node.js 18 has WebCrypto, but not as a global, which the libraries expect.
import { webcrypto } from 'node:crypto'

globalThis.crypto ??= webcrypto
