"""Extensions for itune: what a run costs, trackers that follow it, personal data masked before it is stored."""
