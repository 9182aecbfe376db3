"""What regenerates the tables and figures of Liu & Gong 2019, part by part: `resblock reproduce`."""
