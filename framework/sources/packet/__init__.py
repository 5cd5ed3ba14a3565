"""AF_PACKET: any interface of mainline Linux, one TPACKET_V3 ring a worker, frames shared out by PACKET_FANOUT."""
