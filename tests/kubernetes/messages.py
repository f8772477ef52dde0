# SPDX-License-Identifier: Apache-2.0
"""The kubelet's messages, with its numbers of fields, made without protoc."""
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

KINDS = {"s": 9, "b": 8, "i": 5, "l": 3}  # string, bool, int32, int64
V1BETA1 = {
    "Empty": [],
    "DevicePluginOptions": ["b pre_start_required 1", "b get_preferred_allocation_available 2"],
    "RegisterRequest": ["s version 1", "s endpoint 2", "s resource_name 3",
                        "DevicePluginOptions options 4"],
    "NUMANode": ["l ID 1"],
    "TopologyInfo": ["NUMANode* nodes 1"],
    "Device": ["s ID 1", "s health 2", "TopologyInfo topology 3"],
    "ListAndWatchResponse": ["Device* devices 1"],
    "ContainerPreferredAllocationRequest": ["s* available_deviceIDs 1",
                                            "s* must_include_deviceIDs 2", "i allocation_size 3"],
    "PreferredAllocationRequest": ["ContainerPreferredAllocationRequest* container_requests 1"],
    "ContainerPreferredAllocationResponse": ["s* deviceIDs 1"],
    "PreferredAllocationResponse": ["ContainerPreferredAllocationResponse* container_responses 1"],
    "ContainerAllocateRequest": ["s* devices_ids 1"],
    "AllocateRequest": ["ContainerAllocateRequest* container_requests 1"],
    "CDIDevice": ["s name 1"],
    "Mount": ["s container_path 1", "s host_path 2", "b read_only 3"],
    "DeviceSpec": ["s container_path 1", "s host_path 2", "s permissions 3"],
    "Entry": ["s key 1", "s value 2"],
    "ContainerAllocateResponse": ["Entry* envs 1", "Mount* mounts 2", "DeviceSpec* devices 3",
                                  "Entry* annotations 4", "CDIDevice* cdi_devices 5"],
    "AllocateResponse": ["ContainerAllocateResponse* container_responses 1"],
    "PreStartContainerRequest": ["s* devices_ids 1"],
}
V1 = {
    "ContainerDevices": ["s resource_name 1", "s* device_ids 2"],
    "ContainerResources": ["s name 1", "ContainerDevices* devices 2"],
    "PodResources": ["s name 1", "s namespace 2", "ContainerResources* containers 3"],
    "ListPodResourcesResponse": ["PodResources* pod_resources 1"],
}
REGISTRATION = {
    "InfoRequest": [],
    "PluginInfo": ["s type 1", "s name 2", "s endpoint 3", "s* supported_versions 4"],
    "RegistrationStatus": ["b plugin_registered 1", "s error 2"],
    "RegistrationStatusResponse": [],
}
DRA = {
    "Claim": ["s namespace 1", "s uid 2", "s name 3"],
    "Claims": ["Claim* claims 1"],
    "Device": ["s* request_names 1", "s pool_name 2", "s device_name 3", "s* cdi_device_ids 4"],
    "Prepared": ["Device* devices 1", "s error 2"],
    "PreparedEntry": ["s key 1", "Prepared value 2"],
    "PrepareResponse": ["PreparedEntry* claims 1"],
    "Unprepared": ["s error 1"],
    "UnpreparedEntry": ["s key 1", "Unprepared value 2"],
    "UnprepareResponse": ["UnpreparedEntry* claims 1"],
}
HEALTH = {
    "Empty": [],
    "Identifier": ["s pool_name 1", "s device_name 2"],
    "Device": ["Identifier device 1", "i health 2", "l last_updated_time 3", "s message 5"],
    "Devices": ["Device* devices 1"],
}


class Package:
    """Its messages as attributes."""


def package(name, kinds):
    file = descriptor_pb2.FileDescriptorProto(name=f"test_{name}.proto", package=name,
                                              syntax="proto3")
    for kind, fields in kinds.items():
        message = file.message_type.add(name=kind)
        for field in fields:
            type_name, field_name, number = field.split()
            added = message.field.add(name=field_name, number=int(number),
                                      label=3 if type_name.endswith("*") else 1)
            type_name = type_name.rstrip("*")
            added.type = KINDS.get(type_name, 11)
            if added.type == 11:
                added.type_name = f".{name}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = Package()
    factory = message_factory.MessageFactory(pool)
    for kind in kinds:
        setattr(made, kind, factory.GetPrototype(pool.FindMessageTypeByName(f"{name}.{kind}")))
    return made


v1beta1 = package("v1beta1", V1BETA1)
v1 = package("v1", V1)
registration = package("pluginregistration", REGISTRATION)
dra = package("dra", DRA)
health = package("health", HEALTH)
