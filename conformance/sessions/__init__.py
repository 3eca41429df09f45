"""DTLS sessions in a capture, as an onlooker sees them: reassembly, flights, retransmissions, epochs, decryption."""
