"""An analog input in millivolts."""

from machine import ADC, Pin

_FULL_SCALE_MV = 3100  # At 11 dB, ESP32 data sheet, table "ADC Calibration Results".


class Voltage:
    """One input of the first converter, which works beside the Wi-Fi."""

    def __init__(self, number: int) -> None:
        self._adc = ADC(Pin(number), atten=ADC.ATTN_11DB)
        # Asked once: without calibration data in the chip's fuses each question costs a message
        # on the console.
        try:
            self._adc.read_uv()
            self._calibrated = True
        except OSError:
            self._calibrated = False

    def read_mv(self) -> int:
        """The voltage; a chip without calibration data tells it roughly."""
        if self._calibrated:
            return self._adc.read_uv() // 1000
        return self._adc.read_u16() * _FULL_SCALE_MV // 65_535
