"""The first files of a job and of a project: looked up in the data, written once, never over what is there."""
