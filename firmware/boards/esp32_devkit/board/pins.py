"""Which GPIO is wired to what; the only file to change for another wiring of the same chip.

Free of the strapping pins 2, 5, 12 and 15 where something drives them from outside, and of the
second converter, which the Wi-Fi uses.
"""

BUTTONS = {"sos": 27, "duty": 26, "ok": 0}  # To ground; 0 is BOOT on every devkit.
LIGHT = 2  # The devkit's own blue LED.
VIBRATION = 25
BUZZER = 33
RECEIVER_UART, RECEIVER_RX, RECEIVER_TX, RECEIVER_BAUD = 2, 16, 17, 9600
MODEM_UART, MODEM_RX, MODEM_TX, MODEM_BAUD = 1, 18, 19, 115_200
SCREEN_SCL, SCREEN_SDA = 22, 21
BATTERY = 34
BATTERY_DIVIDER = 2  # Two equal resistors: the converter sees half of the voltage.
SWITCHES = {"door": 13, "motion": 14}
ANALOG = {"smoke": 36, "water_level": 39}
