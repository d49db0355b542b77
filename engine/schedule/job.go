package schedule

// Job is a program that the system is to start by itself, in the words that launchd and systemd have in common.
type Job struct {
	// Label names it: letters, digits, dots and hyphens.
	Label string
	// Description is a line for people.
	Description string
	// Program is an absolute path and its arguments. No secret may be in it: everybody can read it.
	Program []string
	// At are the times of day, local time. None: only at login.
	At []Clock
	// Background: it may take its time, and yields to what the person does.
	Background bool
}

// Installed is what installing a job came to.
type Installed struct {
	// Files are what was written, or was there already.
	Files []string
	// Changed: a file is new or another than before. If not, what is loaded was left alone.
	Changed bool
	// Changes says what became of a file that was there before, for people.
	Changes []string
	// Note says what the person should know; empty: nothing.
	Note string
}

// JobState is what the system knows of a job.
type JobState struct {
	// File is where it is described; empty: nowhere.
	File string
	// Ours: the file starts this program. Old: it starts the program that this one replaces. Neither: it is somebody
	// else's of the same name.
	Ours, Old bool
	// Loaded: the system starts it. Unknown is not loaded; Why says what is in the way.
	Loaded bool
	Why    string
	// Program and At are what the file says.
	Program []string
	At      []Clock
}
