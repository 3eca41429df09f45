"""Mixed deployments: firmwares in QEMU and Python SEDs, the SSS and the radio in one world with one virtual clock."""
