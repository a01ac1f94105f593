"""What clients of our own servers pass as `verify`: these have no certificates, so those of all authorities are not read."""

import ssl

NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
