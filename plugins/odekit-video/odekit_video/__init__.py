"""Restoration of faces in videos: `odekit video CHAIN INPUT -o OUTPUT`.

Two passes: `find` follows the faces through the video and decides once for each what is done, `restore` runs the chain
on the frames, segment by segment, and `assemble` joins the segments with the other streams of the input.
"""
