# Sourced. Sets `cache`, the folder for what is slow to get and worth keeping between clones.
case "$(uname -s)" in
  Darwin) cache="$HOME/Library/Caches/deputy" ;;
  *) cache="${XDG_CACHE_HOME:-$HOME/.cache}/deputy" ;;
esac
