"""One training in several processes: the parent prepares the task and saves the model, workers carry the task out."""
