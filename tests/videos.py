"""Small videos, whole and damaged."""

import cv2


def write_video(path, pictures, rate=12.5, codec="MJPG"):
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (width, height))
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if picture.ndim == 3 else cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def damage_frame(path, number):
    """Blanks one of several frames of a motion JPEG."""
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    start, end = starts[number], starts[number + 1] - 8  # all but the next one's chunk header
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    return path
