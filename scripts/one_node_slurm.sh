#!/usr/bin/env bash
# A SLURM cluster of one node, this machine, to try sweeps on and to test them: scripts/one_node_slurm.sh start|stop|status
#
# Needs root and Debian or Ubuntu; `start` installs the distribution's packages if they are missing. No accounting data
# base, no cgroups, no systemd: it runs in a container. Jobs run as root. Not for a machine that others use.
set -euo pipefail

FOLDER=${SLURM_ONE_NODE:-/var/tmp/one-node-slurm}
PACKAGES=(munge slurmctld slurmd slurm-client)
NODE=$(hostname -s)

install_packages() {
    command -v slurmctld slurmd munged sbatch >/dev/null && return
    apt-get update -qq
    # Started by hand below: a container has no service manager.
    printf '#!/bin/sh\nexit 101\n' >"$FOLDER/policy-rc.d"
    chmod +x "$FOLDER/policy-rc.d"
    [ -e /usr/sbin/policy-rc.d ] || { cp "$FOLDER/policy-rc.d" /usr/sbin/policy-rc.d; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" >/dev/null
}

write_configuration() {
    local memory
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    cat >"$FOLDER/slurm.conf" <<CONF
ClusterName=one-node
SlurmctldHost=$NODE(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munge.socket,cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=1
MinJobAge=300
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,bf_interval=1
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
NodeName=$NODE NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$NODE Default=YES MaxTime=INFINITE State=UP
CONF
    mkdir -p "$FOLDER/state" "$FOLDER/spool"
    mkdir -p /etc/slurm
    if [ -e /etc/slurm/slurm.conf ] && ! [ -L /etc/slurm/slurm.conf ]; then
        echo "/etc/slurm/slurm.conf exists: this machine has a SLURM of its own" >&2
        exit 1
    fi
    ln -sfn "$FOLDER/slurm.conf" /etc/slurm/slurm.conf
}

start_munge() {
    [ -e "$FOLDER/munge.key" ] || (umask 077; head -c 128 /dev/urandom >"$FOLDER/munge.key")
    munged --force --key-file="$FOLDER/munge.key" --socket="$FOLDER/munge.socket" --pid-file="$FOLDER/munged.pid" \
        --log-file="$FOLDER/munged.log" --seed-file="$FOLDER/munged.seed"
}

alive() {
    [ -e "$FOLDER/$1.pid" ] && kill -0 "$(cat "$FOLDER/$1.pid")" 2>/dev/null
}

start() {
    [ "$(id -u)" = 0 ] || { echo "one_node_slurm.sh needs root: it installs packages and starts daemons" >&2; exit 1; }
    mkdir -p "$FOLDER"
    chmod 755 "$FOLDER"
    install_packages
    write_configuration
    alive munged || start_munge
    alive slurmctld || slurmctld -c
    alive slurmd || slurmd -c
    for _ in $(seq 100); do
        [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && break
        sleep 0.1
    done
    sinfo
    [ "$(sinfo -h -o %T)" = idle ] || { tail -n 20 "$FOLDER"/*.log >&2; exit 1; }
}

stop() {
    for daemon in slurmd slurmctld munged; do
        if alive "$daemon"; then kill "$(cat "$FOLDER/$daemon.pid")"; fi
    done
    if [ "$(readlink /etc/slurm/slurm.conf)" = "$FOLDER/slurm.conf" ]; then rm /etc/slurm/slurm.conf; fi
}

case ${1:-} in
    start | stop) "$1" ;;
    status) sinfo && squeue ;;
    *) echo "usage: $0 start|stop|status" >&2; exit 2 ;;
esac
