// Answers, for each line `["range", ["version", ...]]` on standard input, with a line of JSON: null where Helm's library reads no range,
// else whether each version is in it.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"github.com/Masterminds/semver/v3"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var question [2]json.RawMessage
		var text string
		var versions []string
		if json.Unmarshal(lines.Bytes(), &question) != nil || json.Unmarshal(question[0], &text) != nil || json.Unmarshal(question[1], &versions) != nil {
			os.Exit(2)
		}
		constraint, err := semver.NewConstraint(text)
		if err != nil {
			answers.Encode(nil)
			continue
		}
		within := make([]bool, len(versions))
		for index, each := range versions {
			version, err := semver.NewVersion(each)
			within[index] = err == nil && constraint.Check(version)
		}
		answers.Encode(within)
	}
}
