#!/bin/sh
# podman, also on a machine without systemd that mounts both generations of control groups, as CI's may: there the newer
# one is taken away for podman alone, in a namespace of its own, and limits are those that a container may set.
unified=/sys/fs/cgroup/unified
if [ "$(id -u)" != 0 ] || [ ! -d "$unified" ]; then
    exec podman "$@"
fi
command=$1
shift
if [ "$command" = run ]; then
    set -- --network host --env MOVIEREC_SERVING_HOST=127.0.0.1 --health-interval disable --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 "$@"
fi
exec unshare --mount sh -c "umount $unified; exec podman --cgroup-manager cgroupfs \"\$@\"" podman "$command" "$@"
