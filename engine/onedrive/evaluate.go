package onedrive

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxEvaluate is far more than fileproviderctl writes about one file.
const maxEvaluate = 64 << 10

// evaluateLine is a line of fileproviderctl's that has a number, or nothing, as its value.
var evaluateLine = regexp.MustCompile(`^[ \t]*(documentSize|isUploaded|isUploading|uploadingError) = (.*);$`)

// parseEvaluate reads what `fileproviderctl evaluate` wrote about a file of this size. The tool's output is no interface: it
// is believed only if it has exactly the shape that was seen, each value once, before the line "Actions:"; everything else,
// texts in file names that look like it included, is unknown.
func parseEvaluate(out []byte, size int64) Answer {
	no := func(why string) Answer { return Answer{Detail: "fileproviderctl: " + why} }
	if len(out) >= maxEvaluate || !utf8.Valid(out) || bytes.IndexByte(out, 0) >= 0 {
		return no("its output is not what is known")
	}
	lines := strings.Split(string(out), "\n")
	end := -1
	for i, line := range lines {
		if strings.TrimRight(line, " \t\r") != "Actions:" {
			continue
		}
		if end >= 0 {
			return no("it has actions twice")
		}
		end = i
	}
	if end < 0 {
		return no("it is cut off")
	}
	values := map[string]string{}
	for i, line := range lines {
		m := evaluateLine.FindStringSubmatch(line)
		if m == nil {
			if looksLike(line) {
				return no("a line only looks like a value")
			}
			continue
		}
		if _, twice := values[m[1]]; twice || i > end {
			return no(m[1] + " stands twice, or where it does not belong")
		}
		values[m[1]] = m[2]
	}
	if got, err := strconv.ParseInt(values["documentSize"], 10, 64); err != nil || got != size {
		return no("the size is not that of the file")
	}
	if e, ok := values["uploadingError"]; ok && e != "(null)" && e != `"<null>"` && e != "<null>" {
		return Answer{Rung: Pending, Detail: "fileproviderctl: an upload error"}
	}
	switch up, ing := values["isUploaded"], values["isUploading"]; {
	case up == "1" && ing == "0":
		return Answer{Rung: ClientUploaded}
	case up == "0" && ing == "1":
		return Answer{Rung: Uploading}
	case up == "0" && ing == "0":
		return Answer{Rung: Pending}
	}
	return no("the values are not what is known")
}

// looksLike reports whether a line that is no value has the name of one in it.
func looksLike(line string) bool {
	for _, name := range []string{"documentSize", "isUploaded", "isUploading", "uploadingError"} {
		if strings.Contains(line, name) {
			return true
		}
	}
	return false
}

// askable reports whether a path may be given to fileproviderctl: an empty one makes it crash, and a control character
// could stand in its output as a line of its own.
func askable(path string) bool {
	return filepath.IsAbs(path) && utf8.ValidString(path) && !strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// oneDriveRuns looks through the paths of the user's programs, one a line, for OneDrive's main process. Its helpers, "Sync
// Service" and "File Provider", do not count.
func oneDriveRuns(programs []byte) Tri {
	if len(bytes.TrimSpace(programs)) == 0 {
		return TriUnknown
	}
	for line := range strings.Lines(string(programs)) {
		if strings.HasSuffix(strings.TrimRight(line, "\n"), "/OneDrive.app/Contents/MacOS/OneDrive") {
			return Yes
		}
	}
	return No
}
