"""Drives a command line with netmiko, which knows nothing of us: log in, become privileged, configure, save, look."""
import json
import sys

from netmiko import ConnectHandler

ask = json.load(sys.stdin)
with ConnectHandler(**ask["connect"]) as device:
    device.enable()
    said = {
        "prompt": device.find_prompt(),
        "configured": device.send_config_set(ask["commands"]),
        "saved": device.save_config(),
        "shown": device.send_command("show startup-config"),
    }
json.dump(said, sys.stdout)
